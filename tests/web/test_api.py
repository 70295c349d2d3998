"""The API for programs."""

from __future__ import annotations

import dataclasses

import pytest

from restante.web.source import ShownSession
from support.page_client import page_client
from support.page_source import NOON, HandMadeSource, lines

WELCOME = b"""From: The Shop <shop@example.com>
To: new@shop.example
Subject: Welcome
Date: Fri, 27 Nov 2026 12:01:07 +0100

Confirm: https://shop.example/confirm?t=42
"""


@pytest.fixture
def source() -> HandMadeSource:
    made = HandMadeSource()
    made.add(b"From: x@example.org\nSubject: first\n\nhi\n")
    made.add(WELCOME, "new@shop.example", delivered_by=3)
    return made


def test_messages_are_listed(source: HandMadeSource) -> None:
    """The newest message comes first, with what a list shows."""
    found = page_client(source).get("/api/messages").json()
    assert found["total"] == 2
    assert found["messages"][0] == {
        "id": "memory-2",
        "mailbox": "new@shop.example",
        "received": "2026-11-27T12:00:00.000Z",
        "size": len(WELCOME),
        "from": [{"name": "The Shop", "address": "shop@example.com"}],
        "to": [{"name": "", "address": "new@shop.example"}],
        "subject": "Welcome",
        "date": "2026-11-27T12:01:07+01:00",
        "attachments": 0,
        "delivered_by": 3,
        "fetched_by": [],
        "marked_by": None,
        "removed": None,
        "removed_by": None,
    }


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("to=shop", ["memory-2"]),
        ("subject=welcome&from=shop", ["memory-2"]),
        ("mailbox=ann@example.com", ["memory-1"]),
        ("q=-welcome", ["memory-1"]),
        ("after=memory-1", ["memory-2"]),
        ("after=memory-2", []),
        ("limit=1", ["memory-2"]),
    ],
)
def test_messages_are_filtered(source: HandMadeSource, query: str, ids: list[str]) -> None:
    """Each filter is a parameter, and all of them must match."""
    found = page_client(source).get(f"/api/messages?{query}").json()
    assert [row["id"] for row in found["messages"]] == ids


def test_a_message_is_shown_whole(source: HandMadeSource) -> None:
    """One request brings text, links, header and parts."""
    found = page_client(source).get("/api/messages/memory-2").json()
    assert found["text"].startswith("Confirm: ")
    assert found["links"] == ["https://shop.example/confirm?t=42"]
    assert found["headers"][2] == ["Subject", "Welcome"]
    assert found["parts"][0]["url"] == "/api/messages/memory-2/parts/1"
    assert page_client(source).get("/api/messages/memory-2/raw").content == WELCOME
    assert page_client(source).get(found["parts"][0]["url"]).content.startswith(b"Confirm: ")


def test_a_request_waits_for_a_message(source: HandMadeSource) -> None:
    """`wait` answers as soon as a message matches, and not for another one."""
    source.coming = [b"Subject: other\n\n", b"Subject: late\n\n", b"Subject: late again\n\n"]
    found = page_client(source).get("/api/messages?subject=late&wait=60").json()
    assert [row["subject"] for row in found["messages"]] == ["late"]
    assert source.readers == []


def test_a_wait_ends(source: HandMadeSource) -> None:
    """When the time is up the answer is 204, with no body."""
    answer = page_client(source).get("/api/messages?subject=never&wait=0.01")
    assert (answer.status_code, answer.content, source.readers) == (204, b"", [])


@pytest.mark.parametrize("query", ["wait=x", "wait=-1", "wait=nan", "limit=inf"])
def test_a_wrong_number_is_an_error(query: str) -> None:
    """The error names the parameter."""
    answer = page_client().get(f"/api/messages?{query}")
    assert answer.status_code == 400
    assert query in answer.json()["error"]


def test_messages_are_removed(source: HandMadeSource) -> None:
    """One message, those that match, or all; what was removed is still shown."""
    client = page_client(source)
    assert client.delete("/api/messages/memory-1").json() == {"removed": 1}
    assert client.get("/api/messages/memory-1").json()["removed"] == "2026-11-27T12:01:00.000Z"
    assert client.delete("/api/messages?to=nobody").json() == {"removed": 0}
    assert client.delete("/api/messages").json() == {"removed": 1}
    assert client.get("/api/messages").json() == {"total": 0, "messages": []}


@pytest.mark.parametrize(
    "path", ["/api/messages/x", "/api/messages/memory-1/parts/2", "/api/messages/memory-1/parts/x",
             "/api/sessions/9", "/api/sessions/x", "/api/messages?after=x", "/api/nothing"],
)  # fmt: skip
def test_what_is_not_there_is_404(source: HandMadeSource, path: str) -> None:
    """Errors are JSON with a reason."""
    answer = page_client(source).get(path)
    assert answer.status_code == 404
    assert answer.json()["error"]


def test_mailboxes_show_their_holder(source: HandMadeSource) -> None:
    """A maildrop that a session holds says which."""
    source.holders["ann@example.com"] = 7
    assert page_client(source).get("/api/mailboxes").json() == [
        {"address": "ann@example.com", "messages": 1, "held_by": 7},
        {"address": "new@shop.example", "messages": 1, "held_by": None},
    ]


def test_sessions_have_their_lines(source: HandMadeSource) -> None:
    """A list of sessions is short, and one session has each line with its time."""
    talk = ShownSession(
        7, "POP3", "127.0.0.1:5", "ann", False, "TRANSACTION", "", NOON, None, marked=1,
        line_count=2, lines=lines("C DELE 1", "S +OK"),
    )  # fmt: skip
    source.talks = [talk, dataclasses.replace(talk, number=8, ended=NOON + 1, ending="QUIT")]
    client = page_client(source)
    assert [(row["number"], row["live"]) for row in client.get("/api/sessions").json()] == [
        (8, False), (7, True)
    ]  # fmt: skip
    shown = client.get("/api/sessions/7").json()
    assert shown["marked"] == 1
    assert [(line["sender"], line["text"]) for line in shown["lines"]] == [
        ("C", "DELE 1"), ("S", "+OK")
    ]  # fmt: skip


def test_faults_are_switched(source: HandMadeSource) -> None:
    """PUT replaces the faults that are on; an unknown name changes nothing."""
    client = page_client(source)
    assert client.put("/api/faults", json={"on": ["retr-cut"]}).json()["on"] == ["retr-cut"]
    wrong = client.put("/api/faults", json={"on": ["retr-cat"]})
    assert (wrong.status_code, wrong.json()["error"]) == (
        400, "no fault is named 'retr-cat'; did you mean retr-cut?"
    )  # fmt: skip
    assert client.put("/api/faults", content=b"{").status_code == 400
    assert client.get("/api/faults").json()["on"] == ["retr-cut"]


def test_the_addresses_are_told() -> None:
    """A program learns where to connect."""
    assert page_client().get("/api/info").json()["smtp"] == "127.0.0.1:1025"
