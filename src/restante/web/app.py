"""The web application: its routes, its errors, and the guard before all of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles

from restante.protocol.text import shorten_lines
from restante.system_errors import describe
from restante.web import api, mailpit, mailpit_events, page_routes
from restante.web.openapi import describe_api
from restante.web.page import Page, answer
from restante.web.security import GuardMiddleware, RefusedRequest, error_answer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from restante.developer.server import DeveloperServer
    from restante.web.openapi import Endpoint
    from restante.web.page import ServerAddresses
    from restante.web.security import Guard

STATIC = Path(__file__).parent / "static"
_UNKNOWN = {
    404: "nothing is here; /openapi.json lists the requests that are",
    405: "this path has other methods; /openapi.json lists them",
}
ENDPOINTS = (*api.ENDPOINTS, *mailpit.ENDPOINTS)


def create_app(server: DeveloperServer, addresses: ServerAddresses, guard: Guard) -> Starlette:
    """Return the application that shows a server."""
    routes = [
        Route("/", page_routes.show_page),
        Route("/messages/{id}/html", page_routes.show_html),
        Route("/messages/{id}/pictures/{number}", page_routes.show_picture),
        Route("/openapi.json", _show_openapi),
        *(Route(row.path, _strict(row), methods=[row.method]) for row in api.ENDPOINTS),
        *(Route(row.path, row.handler, methods=[row.method]) for row in mailpit.ENDPOINTS),
        WebSocketRoute("/api/events", mailpit_events.follow),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
    app = Starlette(
        routes=routes,
        middleware=[Middleware(GuardMiddleware, guard=guard)],
        exception_handlers={RefusedRequest: _refuse, HTTPException: _refuse, OSError: _refuse},
    )
    app.state.page = Page(server, addresses, guard.token)
    return app


def _strict(row: Endpoint) -> Callable[[Request], Awaitable[Response]]:
    """Return a handler that rejects parameters which the endpoint does not have.

    A misspelt filter would match all messages, and remove them. Mailpit ignores such parameters, so
    its requests do.
    """
    known = [parameter.name for parameter in row.parameters]

    async def handle(request: Request) -> Response:
        for name in request.query_params:
            if name not in known:
                text = f"known are {', '.join(known)}" if known else "this request has none"
                raise RefusedRequest(400, f"unknown parameter {name!r}; {text}")
        return await row.handler(request)

    return handle


async def _show_openapi(_: Request) -> Response:
    return answer(describe_api(ENDPOINTS))


async def _refuse(request: Request, error: Exception) -> Response:
    """Answer with what failed."""
    status = error.status if isinstance(error, RefusedRequest) else 500
    text = str(error)
    if isinstance(error, HTTPException):
        status, text = error.status_code, _UNKNOWN.get(error.status_code, error.detail)
    elif isinstance(error, OSError):  # of the folder that keeps mail
        text = describe(error)
    return error_answer(request.url.path, status, shorten_lines(text))
