"""A client of the page, in this process and without a socket."""

from __future__ import annotations

from starlette.testclient import TestClient

from restante.protocol.secret import Secret
from restante.web.app import create_app
from restante.web.security import Guard
from support.page_source import HandMadeSource

TOKEN = "the-token-of-the-page"


def page_client(source: HandMadeSource | None = None, password: str = "") -> TestClient:
    secret = Secret(password.encode()) if password else None
    app = create_app(source or HandMadeSource(), Guard(token=TOKEN, password=secret))
    return TestClient(app, base_url="http://127.0.0.1:8025", raise_server_exceptions=True)
