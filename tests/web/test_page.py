"""The page as the server sends it; tests/web/test_browser.py has what a browser makes of it."""

from __future__ import annotations

import dataclasses

import pytest

from restante.web.source import ShownSession
from support.page_client import page_client
from support.page_source import NOON, HandMadeSource, lines

EVIL = (
    b'Subject: <script>alert(1)</script>\nFrom: "<img src=x>" <a@b>\n\n</pre><script>x</script>\n'
)


def test_an_empty_page_says_what_to_do() -> None:
    """A newcomer sees the command that sends a first message."""
    text = page_client().get("/").text
    assert "smtp://127.0.0.1:1025" in text
    assert "telnet 127.0.0.1 1110" in text


@pytest.mark.parametrize("view", ["", "text", "headers", "source", "parts", "links", "sessions"])
def test_what_a_message_says_is_text(view: str) -> None:
    """No octet of a message is markup of the page, in any of its views."""
    source = HandMadeSource()
    source.add(EVIL, "<b>@example.com")
    text = page_client(source).get(f"/?message=memory-1&view={view}&show=message").text
    assert "<script>alert" not in text
    assert "<script>x" not in text
    assert "<img src=x" not in text
    assert "<b>@" not in text
    assert "&lt;script&gt;alert(1)" in text


def test_a_marked_message_shows_it() -> None:
    """A mark is not yet a removal, and the page says which session set it."""
    source = HandMadeSource()
    source.add(b"Subject: a\n\n", marked_by=7, fetched_by=(7,))
    text = page_client(source).get("/?message=memory-1").text
    assert "marked by #7, not yet removed" in text
    assert "kept if the connection breaks" in text


def test_removed_messages_have_their_list() -> None:
    """What a session removed can be looked up."""
    source = HandMadeSource()
    source.add(b"Subject: gone\n\n", removed=NOON, removed_by=4)
    client = page_client(source)
    assert "gone" not in client.get("/").text
    assert "removed by #4" in client.get("/?removed=1").text


def test_a_conversation_is_shown() -> None:
    """Each line has its sender, and a refusal has its class."""
    source = HandMadeSource()
    talk = ShownSession(7, "POP3", "127.0.0.1:5", "ann", False, "TRANSACTION", "", NOON, None)
    source.talks = [dataclasses.replace(talk, lines=lines("C RETR 9", "S -ERR none"), line_count=9)]
    text = page_client(source).get("/?session=7&show=session").text
    assert '<li class="line client" data-number="1">' in text
    assert '<li class="line server refused" data-number="2">' in text
    assert "7 earlier lines are not shown." in text


@pytest.mark.parametrize(
    "query", ["?message=x", "?session=x", "?session=99", "?view=x", "?show=x", "?q=%22&mailbox=%22"]
)
def test_an_odd_url_shows_the_page(query: str) -> None:
    """A URL that names what is not there is no error."""
    assert page_client().get(f"/{query}").status_code == 200


def test_the_token_is_in_the_page_only() -> None:
    """The page has the token for its script; no other answer has."""
    source = HandMadeSource()
    source.add(b"Content-Type: text/html\n\n<p>")
    client = page_client(source)
    assert "the-token-of-the-page" in client.get("/").text
    for path in ("/messages/memory-1/html", "/api/info", "/openapi.json", "/static/page.js"):
        assert "the-token-of-the-page" not in client.get(path).text
