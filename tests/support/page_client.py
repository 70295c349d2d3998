"""The page without a socket: a server of developer mode that does not listen, and a client."""

from __future__ import annotations

from email.message import EmailMessage

from starlette.requests import Request
from starlette.testclient import TestClient

from restante.developer.mailboxes import DeveloperMail, Mailboxes
from restante.developer.server import DeveloperServer
from restante.developer.sessions import SessionRecord, SessionTable
from restante.protocol.secret import Secret
from restante.web.app import create_app
from restante.web.page import ServerAddresses
from restante.web.security import Guard

TOKEN = "the-token-of-the-page"
NOON = 1795780800.0  # 27 November 2026, 12:00 UTC
EVENTS = "ws://127.0.0.1:8025/api/events"
ADDRESSES = ServerAddresses("127.0.0.1:1110", "127.0.0.1:1995", "127.0.0.1:1025")


def quiet_server() -> DeveloperServer:
    """Return a server at noon that was not started: what happens is put in by hand."""
    server = DeveloperServer()
    server.mailboxes = Mailboxes(server.feed, clock=lambda: NOON)
    server.sessions = SessionTable(server.feed, clock=lambda: NOON)
    return server


def add(
    server: DeveloperServer, message: bytes | EmailMessage, mailbox: str = "ann@example.com"
) -> DeveloperMail:
    return server.mailboxes.add(mailbox, bytes(message))


def say(session: SessionRecord, *lines: str) -> None:
    """Add lines such as "C NOOP" and "S +OK" to a session."""
    for line in lines:
        session.add(line[0], line[2:])


def page_client(server: DeveloperServer | None = None, password: str = "") -> TestClient:
    secret = Secret(password.encode()) if password else None
    app = create_app(
        server or quiet_server(), ADDRESSES, Guard(token=TOKEN, password=secret, pause=0)
    )
    return TestClient(app, base_url="http://127.0.0.1:8025")


def ask(server: DeveloperServer, query: bytes = b"", last_event: str = "") -> Request:
    """Return a request for a handler that a test calls itself."""
    headers = [(b"last-event-id", last_event.encode())] if last_event else []
    app = create_app(server, ADDRESSES, Guard())
    return Request({"type": "http", "headers": headers, "query_string": query, "app": app})
