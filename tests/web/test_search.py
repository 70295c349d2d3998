"""The language of the search field."""

from __future__ import annotations

import pytest

from restante.web.message_view import MessageView
from restante.web.search import LONGEST, matches, parse
from support.page_client import add, quiet_server

MESSAGE = b"""From: The Shop <orders@shop.example>
To: Ann <ann@example.com>
Cc: bob@example.org
Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= your order
Message-ID: <42@shop.example>
Content-Type: multipart/mixed; boundary=x

--x

Confirm: https://shop.example/confirm
--x
Content-Disposition: attachment; filename=bill.pdf

--x--
"""


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", True),
        ("from:shop", True),
        ("FROM:SHOP subject:order", True),
        ("from:shop subject:invoice", False),
        ('subject:"your order"', True),
        ('subject:"order your"', False),
        ("subject:grüße", True),
        ("to:ann", True),
        ("to:bob", True),
        ("to:new@shop.example", True),
        ("mailbox:new@shop.example", True),
        ("mailbox:new", False),
        ("has:attachment", True),
        ("-has:attachment", False),
        ("has:html", False),
        ("has:links", True),
        ("has:nothing", False),
        ("confirm", True),
        ("body:confirm", True),
        ("-confirm", False),
        ("message-id:<42@shop.example>", True),
        ("id:1", True),
        ("id:memory-1", True),
        ("https://shop.example/confirm", True),
        ('"confirm: https', True),
        ("bob@example.org", True),
        ("re: order", False),
        ("!subject:order", False),
        ("!subject:invoice", True),
        ("is:read", False),
        ("is:unread", True),
        ("-is:tagged", True),
        ("is:odd", False),
        ("has:inline", False),
        ("larger:100", True),
        ("larger:1k", False),
        ("smaller:0.5MB", True),
        ("smaller:much", False),
        ("after:2026-11-27", True),
        ("after:2026/11/28", False),
        ('before:"2026-11-27T12:00:00Z"', True),
        ("before:2026-11-27T11:59:59+00:00", False),
        ("before:yesterday", False),
        ("before:0001-01-01", False),
    ],
)
def test_a_search_finds(query: str, found: bool) -> None:
    """Terms match fields, text and mailbox, and all of them must."""
    mail = add(quiet_server(), MESSAGE, "new@shop.example")
    assert matches(MessageView(mail), parse(query)) is found


def test_what_was_read() -> None:
    """A search for what was read knows it."""
    view = MessageView(add(quiet_server(), MESSAGE, "new@shop.example"))
    assert matches(view, parse("is:read"), read={1})
    assert not matches(view, parse("is:unread"), read={1})


def test_a_search_without_an_end() -> None:
    """Of a search, no more than its longest is read."""
    assert sum(len(term.word) for term in parse("a" * (2 * LONGEST))) == LONGEST
