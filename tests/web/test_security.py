"""The page answers neither other sites nor people without the password."""

from __future__ import annotations

import asyncio
import base64
import socket
from collections.abc import MutableMapping
from typing import Any

import pytest
from starlette.websockets import WebSocketDisconnect

from restante.protocol.secret import Secret
from restante.server.config.addresses import ListenAddress
from restante.web.listener import open_port, serving
from restante.web.security import Guard, GuardMiddleware
from support.live import PATIENCE
from support.page_client import ADDRESSES, EVENTS, TOKEN, add, page_client, quiet_server

BROWSER = {"Origin": "http://127.0.0.1:8025", "Sec-Fetch-Site": "same-origin"}


@pytest.mark.parametrize("host", ["127.0.0.1:8025", "localhost:8025", "LOCALHOST", "[::1]:8025"])
def test_names_of_this_machine_are_served(host: str) -> None:
    """The page answers under each name of this machine."""
    assert page_client().get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8025",
        "127.0.0.1.evil.example",
        "127.0.0.1:x.evil.example",
        "[::1]evil.example",
        "127.0.0.1@evil.example",
        "",
    ],
)
def test_another_host_is_refused(host: str) -> None:
    """A name that was pointed at this machine gets no page: DNS rebinding."""
    answer = page_client().get("/api/messages", headers={"Host": host})
    assert (answer.status_code, "localhost" in answer.json()["error"]) == (400, True)


@pytest.mark.parametrize(
    "sent", [b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.1\r\nno field\r\n\r\n"]
)
def test_octets_that_are_no_request(sent: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """The client gets a reply, and the terminal of `pop3 dev` no line of a library."""
    opened = open_port(ListenAddress("127.0.0.1", 0))
    with (
        serving(quiet_server(), ADDRESSES, Guard(), opened),
        socket.create_connection(opened.getsockname(), timeout=PATIENCE) as client,
    ):
        client.sendall(sent)
        assert client.makefile("rb").readline() == b"HTTP/1.1 400 Bad Request\r\n"
    assert caplog.messages == []


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_request_of_another_site_is_refused(site: str) -> None:
    """A page of another site, or of another port here, reads and changes nothing."""
    client = page_client()
    for method, path in (("GET", "/api/messages"), ("DELETE", "/api/messages"), ("GET", "/")):
        assert client.request(method, path, headers={"Sec-Fetch-Site": site}).status_code == 403


def test_a_link_of_another_site_opens_the_page() -> None:
    """A person may follow a link to the page."""
    headers = {
        "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"
    }  # fmt: skip
    assert page_client().get("/", headers=headers).status_code == 200
    assert page_client().delete("/api/messages", headers=headers).status_code == 403


@pytest.mark.parametrize("origin", ["http://evil.example", "http://127.0.0.1:3000", "null"])
def test_another_origin_is_refused(origin: str) -> None:
    """A browser without Sec-Fetch-Site is known by its Origin."""
    assert page_client().delete("/api/messages", headers={"Origin": origin}).status_code == 403


def test_a_browser_changes_nothing_without_the_token() -> None:
    """Even a request of the page's own origin needs the token that the page has."""
    server = quiet_server()
    add(server, b"Subject: a\n\n")
    client = page_client(server)
    assert client.delete("/api/messages", headers=BROWSER).status_code == 403
    wrong = {**BROWSER, "X-Restante-Token": "guess"}
    assert client.delete("/api/messages", headers=wrong).status_code == 403
    assert len(server.mailboxes.mail()) == 1
    right = {**BROWSER, "X-Restante-Token": TOKEN}
    assert client.delete("/api/messages", headers=right).json() == {"removed": 1}


def test_a_program_needs_no_token() -> None:
    """A program that is not a browser sends neither Origin nor Sec-Fetch-Site."""
    assert page_client().delete("/api/messages").json() == {"removed": 0}


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ("", 401),
        ("Basic", 401),
        ("Basic %%%", 401),
        ("Basic é", 401),
        (f"Basic {base64.b64encode(b'ann:wrong').decode()}", 401),
        (f"Bearer {base64.b64encode(b'ann:se:cret').decode()}", 401),
        (f"Basic {base64.b64encode(b'ann:se:cret').decode()}", 200),
        (f"basic {base64.b64encode(b':se:cret').decode()}", 200),
    ],
)
def test_a_password_is_required(sent: str, status: int) -> None:
    """With a password, each request needs it, and the Host may be any."""
    headers = {b"Authorization": sent.encode("latin-1"), b"Host": b"mail.dev.example"}
    answer = page_client(password="se:cret").get("/api/messages", headers=headers)
    assert answer.status_code == status
    assert ("www-authenticate" in answer.headers) == (status == 401)
    assert "se:cret" not in answer.text


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_a_probe_needs_no_password(path: str) -> None:
    """A container's probe has no password. Another host and another site are refused here, too."""
    assert page_client(password="secret").get(path).text == "ok"
    assert page_client().get(path, headers={"Host": "evil.example"}).status_code == 400
    site = {"Sec-Fetch-Site": "cross-site"}
    assert page_client(password="secret").get(path, headers=site).status_code == 403


def test_each_answer_has_the_headers() -> None:
    """Pages, JSON, files and refusals: each says that nothing else may use it."""
    client = page_client()
    paths = ("/", "/api/messages", "/static/page.css", "/nothing", "/api/messages/x")
    answers = [client.get(path) for path in paths]
    answers.append(client.get("/", headers={"Host": "evil.example"}))
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'")
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-dns-prefetch-control"] == "off"
        assert "access-control-allow-origin" not in answer.headers


def test_html_has_its_own_policy() -> None:
    """HTML of a message is in a sandbox, also when it is opened without the frame."""
    server = quiet_server()
    add(server, b"Content-Type: text/html\n\n<script>alert(1)</script>")
    for path in ("/messages/1/html", "/view/1.html"):
        policy = page_client(server).get(path).headers["content-security-policy"]
        assert policy.startswith("sandbox allow-popups ")
        assert "default-src 'none'" in policy
        assert "script-src" not in policy


def test_no_part_is_a_page() -> None:
    """A part that is HTML or SVG is a download, whatever its type says."""
    server = quiet_server()
    add(server, b'Content-Type: image/svg+xml; name="a\\"b\r\n.svg"\n\n<svg onload=\'x\'/>')
    answer = page_client(server).get("/api/messages/1/parts/1")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment; ")
    assert page_client(server).get("/messages/1/pictures/1").status_code == 404


def test_the_body_of_a_request_is_bounded() -> None:
    """A request of more than a mebibyte is refused."""
    answer = page_client().put("/api/faults", content=b" " * (1024 * 1024 + 1))
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/api/faults"),
        ("PUT", "/api/v1/messages"),
        ("POST", "/api/v1/send"),
        ("PUT", "/api/v1/tags"),
    ],
)
@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b'{"x":' * 100_000, b"\xff"], ids=["[", "{", "octets"]
)
def test_odd_json_is_refused(method: str, path: str, body: bytes) -> None:
    """JSON of thousands of levels, or not in UTF-8, is a mistake of the client's."""
    assert page_client().request(method, path, content=body).status_code == 400


def test_a_request_has_one_length() -> None:
    """A request with two lengths is refused and closes the connection: request smuggling."""
    headers = {"Transfer-Encoding": "chunked", "Content-Length": "5"}
    answer = page_client().put("/api/faults", content=b"0\r\n\r\n", headers=headers)
    assert (answer.status_code, answer.headers["connection"]) == (400, "close")


def test_wrong_passwords_take_turns() -> None:
    """A guess waits until the guesses before it were answered; a request without one does not."""
    guard = Guard(password=Secret(b"secret"), pause=0)

    async def served(*_: object) -> None:
        raise AssertionError("no guess is served")

    async def guess(authorization: bytes) -> list[int]:
        answers: list[int] = []

        async def send(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                answers.append(message["status"])

        headers = [(b"host", b"x"), *([(b"authorization", authorization)] if authorization else [])]
        scope = {"type": "http", "method": "GET", "path": "/", "headers": headers}
        working = asyncio.create_task(GuardMiddleware(served, guard)(scope, _nothing, send))
        for _ in range(5):
            await asyncio.sleep(0)
        done = list(answers)
        working.cancel()
        return done

    async def guesses() -> None:
        async with guard.turn:  # another guess is being answered
            assert await guess(b"") == [401]
            assert await guess(b"Basic eDp4") == []
        assert await guess(b"Basic eDp4") == [401]

    asyncio.run(guesses())


async def _nothing() -> MutableMapping[str, Any]:
    return {"type": "http.request"}


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "http://127.0.0.1:8025", "Sec-Fetch-Site": "cross-site"},
        {"Host": "evil.example"},
    ],
)
def test_another_site_opens_no_websocket(headers: dict[str, str]) -> None:
    """A page of another site cannot follow what happens, whatever the browser allows it."""
    with pytest.raises(WebSocketDisconnect):
        with page_client().websocket_connect(EVENTS, headers=headers):
            pass


def test_a_websocket_needs_the_password() -> None:
    """With a password, a websocket needs it too, and a wrong one waits as elsewhere."""
    client = page_client(password="secret")
    for headers in ({}, {"Authorization": "Basic Ondyb25n"}):
        with pytest.raises(WebSocketDisconnect):
            with client.websocket_connect(EVENTS, headers=headers):
                pass
    with client.websocket_connect(EVENTS, headers={"Authorization": "Basic OnNlY3JldA=="}):
        pass
