"""The page as the server sends it; tests/web/test_browser.py has what a browser makes of it."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from starlette.requests import Request

from restante.web import listener, page_routes
from restante.web.page import read_body
from restante.web.security import Guard, RefusedRequest
from support.page_client import ADDRESSES, add, page_client, quiet_server, say

EVIL = (
    b'Subject: <script>alert(1)</script>\nFrom: "<img src=x>" <a@b>\n\n</pre><script>x</script>\n'
)


def test_client_that_hangs_up() -> None:
    """A client that hangs up within its request made a bad request: no traceback is printed."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    request = Request({"type": "http", "method": "POST", "headers": []}, receive)
    with pytest.raises(RefusedRequest, match="hung up") as refused:
        asyncio.run(read_body(request))
    assert refused.value.status == 400


def test_an_empty_page_says_what_to_do() -> None:
    """A newcomer sees the command that sends a first message."""
    text = page_client().get("/").text
    assert "smtp://127.0.0.1:1025" in text
    assert "telnet 127.0.0.1 1110" in text


@pytest.mark.parametrize("view", ["", "text", "headers", "source", "parts", "links", "sessions"])
def test_what_a_message_says_is_text(view: str) -> None:
    """No octet of a message is markup of the page, in any of its views."""
    server = quiet_server()
    add(server, EVIL, "<b>@example.com")
    text = page_client(server).get(f"/?message=1&view={view}&show=message").text
    assert "<script>alert" not in text
    assert "<script>x" not in text
    assert "<img src=x" not in text
    assert "<b>@" not in text
    assert "&lt;script&gt;alert(1)" in text


MISLEADING = """\
From: "Bank\u202egro.knab" <a@b>
To: =?utf-8?Q?=E2=80=AEAnn?= <ann@example.com>
Subject: =?utf-8?Q?=E2=80=AEfdp.exe=1B[2J?=
X-Note: =?utf-8?Q?=E2=81=A6?=
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/plain; charset=utf-8

Tab\there \u202eand http://bank.example/\u202egpj
--b
Content-Type: text/plain
Content-Disposition: attachment; filename*=utf-8''%E2%80%AEfdp.exe

--b--
"""


@pytest.mark.parametrize("view", ["text", "headers", "source", "parts", "links"])
def test_directions_are_visible(view: str) -> None:
    """Characters of a message neither turn the text of the page around nor hide in it."""
    server = quiet_server()
    add(server, MISLEADING.encode(), "\u202eann@example.com")
    text = page_client(server).get(f"/?message=1&view={view}&show=message").text
    shown = re.sub(r'(href|data-copy|data-mailbox|value)="[^"]*"', "", text)
    assert [c for c in shown if not c.isprintable() and c not in "\n\t"] == []
    assert r"\u202efdp.exe\x1b[2J" in shown
    assert r"Bank\u202egro.knab" in shown
    assert r"\u202eann@example.com" in shown


def test_a_link_is_copied_as_it_is() -> None:
    """A link with a direction shows it, and leads where the message says."""
    server = quiet_server()
    add(server, MISLEADING.encode())
    text = page_client(server).get("/?message=1&view=links&show=message").text
    assert 'data-copy="http://bank.example/\u202egpj"' in text
    assert r">http://bank.example/\u202egpj</a>" in text


def test_a_marked_message_shows_it() -> None:
    """A mark is not yet a removal, and the page says which session set it."""
    server = quiet_server()
    mail = add(server, b"Subject: a\n\n")
    server.mailboxes.note_marked(mail.mailbox, [mail.uid], 7)
    text = page_client(server).get("/?message=1").text
    assert "marked by #7, not yet removed" in text
    assert "kept if the connection breaks" in text


def test_removed_messages_have_their_list() -> None:
    """Removed messages can be looked up."""
    server = quiet_server()
    server.mailboxes.remove([add(server, b"Subject: Farewell\n\n").id])
    client = page_client(server)
    assert "Farewell" not in client.get("/").text
    assert "Farewell" in client.get("/?removed=1").text
    assert "Programs do not see it any more" in client.get("/?message=1").text


def test_a_conversation_is_shown() -> None:
    """Each line has its sender, a refusal its class, and the newest session is shown unasked."""
    server = quiet_server()
    talk = server.sessions.open("POP3", "127.0.0.1:5")
    say(talk, "C RETR 9", "S -ERR none")
    for query in ("", "?session=1&show=session"):
        text = page_client(server).get(f"/{query}").text
        assert '<li class="line client" data-number="1">' in text
        assert '<li class="line server refused" data-number="2">' in text


REFUSED = [
    ("POP3", "-ERR no", True), ("POP3", "450 3630", False), ("POP3", "5 3834", False),
    ("SMTP", "550 no", True), ("SMTP", "450-no", True), ("SMTP", "250 OK", False),
]  # fmt: skip


@pytest.mark.parametrize(("protocol", "line", "refused"), REFUSED)
def test_refusals(protocol: str, line: str, *, refused: bool) -> None:
    """A refusal looks like one; a line of LIST with a number of 4 or 5 hundred does not."""
    server = quiet_server()
    say(server.sessions.open(protocol, "127.0.0.1:5"), f"S {line}")
    text = page_client(server).get("/").text
    assert ("line server refused" in text) == refused


def test_the_order_of_mailboxes() -> None:
    """A name stands before the longer names that begin with it, whatever follows the @."""
    server = quiet_server()
    for name in ("user10@shop.example", "user1@shop.example", "user"):
        server.mailboxes.create(name)
    assert server.mailboxes.names() == ["user", "user1@shop.example", "user10@shop.example"]


def test_the_tab_counts_conversations() -> None:
    """The tab of a narrow page has the number of conversations, live or ended."""
    server = quiet_server()
    for port in "56":
        server.sessions.open("POP3", f"127.0.0.1:{port}").end("quit")
    assert '<span id="tab-sessions" data-region>2</span>' in page_client(server).get("/").text


def test_new_session() -> None:
    """A session that is in no state yet is live, and no more is said."""
    server = quiet_server()
    server.sessions.open("SMTP", "127.0.0.1:5")
    text = page_client(server).get("/?session=1").text
    assert '<span class="badge live">live</span>' in text
    assert "live, " not in text


def test_a_line_leads_to_its_message() -> None:
    """A line about a message links to it by its unique-id."""
    server = quiet_server()
    mail = add(server, b"Subject: a\n\n")
    server.sessions.open("POP3", "127.0.0.1:5").add("C", "DELE 1", mail=mail.uid)
    client = page_client(server)
    assert f'href="/?message={mail.uid}&amp;show=message"' in client.get("/").text
    page = client.get(f"/?message={mail.uid}").text
    assert 'id="subject" tabindex="-1" dir="auto">a</h2>' in page


@pytest.mark.parametrize(
    "query", ["?message=x", "?session=x", "?session=99", "?view=x", "?show=x", "?q=%22&mailbox=%22"]
)
def test_an_odd_url_shows_the_page(query: str) -> None:
    """A URL that names what is not there is no error."""
    assert page_client().get(f"/{query}").status_code == 200


def test_the_token_is_in_the_page_only() -> None:
    """The page has the token for its script; no other answer has."""
    server = quiet_server()
    add(server, b"Content-Type: text/html\n\n<p>")
    client = page_client(server)
    assert "the-token-of-the-page" in client.get("/").text
    for path in ("/messages/1/html", "/api/info", "/openapi.json", "/static/page.js"):
        assert "the-token-of-the-page" not in client.get(path).text


def test_lists_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """A long list and a long conversation say how much they leave out."""
    monkeypatch.setattr(page_routes, "MAX_ROWS", 1)
    monkeypatch.setattr(page_routes, "MAX_LINES", 1)
    server = quiet_server()
    for subject in (b"one", b"two", b"three"):
        add(server, b"Subject: %s\n\n" % subject)
    say(server.sessions.open("POP3", "127.0.0.1:5"), "C NOOP", "S +OK", "C QUIT")
    text = page_client(server).get("/").text
    assert "2 older messages are not shown." in text
    assert "2 lines are not shown." in text
    assert text.count('class="line ') == 1


def test_requests_are_bounded() -> None:
    """The server answers 503 to more requests at once than it may have."""
    made = listener.create_server(quiet_server(), ADDRESSES, Guard())
    assert made.config.limit_concurrency == listener.MAX_REQUESTS


@pytest.mark.parametrize(
    ("ending", "text"),
    [("", "1 marked<"), ("quit", "1 removed<"), ("disconnected", "1 marked, kept<")],
)
def test_a_list_says_what_became_of_marks(ending: str, text: str) -> None:
    """QUIT removes what is marked, and any other end keeps it."""
    server = quiet_server()
    talk = server.sessions.open("POP3", "127.0.0.1:5")
    talk.note(marked=("memory-1",), state="TRANSACTION")
    if ending:
        talk.end(ending)
    assert text in page_client(server).get("/").text
