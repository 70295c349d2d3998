"""The API for programs."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from restante.developer import feed
from restante.developer.server import DeveloperOptions, DeveloperServer
from restante.web import api, search
from restante.web.message_view import MessageView
from restante.web.page import page_of
from support.page_client import add, ask, page_client, quiet_server, say

WELCOME = b"""From: The Shop <shop@example.com>
To: new@shop.example
Subject: Welcome
Date: Fri, 27 Nov 2026 12:01:07 +0100

Confirm: https://shop.example/confirm?t=42
"""


@pytest.fixture
def server() -> DeveloperServer:
    made = quiet_server()
    add(made, b"From: x@example.org\nSubject: first\n\nhi\n")
    made.mailboxes.add("new@shop.example", WELCOME, session=3)
    return made


def test_messages_are_listed(server: DeveloperServer) -> None:
    """The newest message comes first, with what a list shows."""
    found = page_client(server).get("/api/messages").json()
    assert found["total"] == 2
    assert found["messages"][0] == {
        "id": 2,
        "uid": "memory-2",
        "mailbox": "new@shop.example",
        "received": "2026-11-27T12:00:00.000Z",
        "size": len(WELCOME),
        "from": [{"name": "The Shop", "address": "shop@example.com"}],
        "to": [{"name": "", "address": "new@shop.example"}],
        "subject": "Welcome",
        "date": "2026-11-27T12:01:07+01:00",
        "attachments": 0,
        "tags": [],
        "delivered_by": 3,
        "fetched_by": [],
        "marked_by": None,
        "removed": None,
        "removed_by": None,
    }


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("to=shop", [2]),
        ("subject=welcome&from=shop", [2]),
        ("subject=WELCOME", [2]),
        ("mailbox=ann@example.com", [1]),
        ("q=-welcome", [1]),
        ('q="first&mailbox=ann@example.com', [1]),
        ("after=1", [2]),
        ("after=2", []),
        ("until=1", [1]),
        ("after=1&until=2", [2]),
        ("limit=1", [2]),
    ],
)
def test_messages_are_filtered(server: DeveloperServer, query: str, ids: list[str]) -> None:
    """Each filter is a parameter, and all of them must match."""
    found = page_client(server).get(f"/api/messages?{query}").json()
    assert [row["id"] for row in found["messages"]] == ids


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_unknown_parameters(server: DeveloperServer, method: str) -> None:
    """A misspelt filter is an error that names it: it would match all mail, and remove it."""
    answer = page_client(server).request(method, "/api/messages?mailbx=ann@example.com&to=a")
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("unknown parameter 'mailbx'; known are q, mailbox, to")
    assert len(server.mailboxes.mail()) == 2
    assert page_client(server).get("/api/info?x=1").json()["error"] == (
        "unknown parameter 'x'; this request has none"
    )
    assert page_client(server).get("/api/v1/messages?tz=Europe/Paris").status_code == 200


def test_unknown_requests() -> None:
    """The error of a request that does not exist names the list of those that do."""
    client = page_client()
    answer = client.post("/api/v1/message/latest/release", json={})
    assert (answer.status_code, "/openapi.json lists" in answer.json()["error"]) == (404, True)
    answer = client.post("/api/messages", json={})
    assert (answer.status_code, "/openapi.json lists" in answer.json()["error"]) == (405, True)
    assert client.get("/nothing").text.startswith("nothing is here; /openapi.json")


def test_unknown_fields(server: DeveloperServer) -> None:
    """A misspelt field is an error: the faults of all mailboxes would be switched off."""
    server.faults.set(["retr-cut"])
    answer = page_client(server).put("/api/faults", json={"on": [], "mailbx": "ann@example.com"})
    assert answer.status_code == 400
    assert "unknown field `mailbx`" in answer.json()["error"]
    assert server.faults.on == ["retr-cut"]


def test_no_json(server: DeveloperServer) -> None:
    """An error of the body says that it is about the body."""
    for method, path in (("PUT", "/api/faults"), ("POST", "/api/v1/send")):
        answer = page_client(server).request(method, path, content=b"")
        assert answer.status_code == 400
        assert answer.json()["error"].startswith("the body is not the JSON of this request: ")


def test_quotes_in_filters() -> None:
    """A filter is the text itself: quotes in a subject or a mailbox are compared, too."""
    server = quiet_server()
    add(server, b'Subject: Your "order" 5\n\n', 'say "hi"@shop.example')
    add(server, b"Subject: Your order 5\n\n")
    client = page_client(server)
    for query in ('subject=your "order"', 'mailbox=say "hi"@shop.example', 'to=say "hi"'):
        found = client.get(f"/api/messages?{query}").json()
        assert [row["id"] for row in found["messages"]] == [1]
    assert ">Your &#34;order&#34; 5<" in client.get('/?mailbox=say "hi"@shop.example').text


def test_a_message_is_shown_whole(server: DeveloperServer) -> None:
    """One request brings text, links, header and parts."""
    found = page_client(server).get("/api/messages/2").json()
    assert found["text"].startswith("Confirm: ")
    assert found["links"] == ["https://shop.example/confirm?t=42"]
    assert found["headers"][2] == ["Subject", "Welcome"]
    assert found["parts"][0]["url"] == "/api/messages/2/parts/1"
    assert page_client(server).get("/api/messages/2/raw").content == WELCOME
    assert page_client(server).get(found["parts"][0]["url"]).content.startswith(b"Confirm: ")


def test_a_request_waits_for_a_message(server: DeveloperServer) -> None:
    """`wait` answers as soon as a message matches, and not for another one."""
    request = ask(server, b"subject=late&wait=60")

    async def wait() -> bytes:
        waiting = asyncio.create_task(api.list_messages(request))
        await asyncio.sleep(0)  # it begins to wait
        assert page_of(request).readers == 1
        add(server, b"Subject: other\n\n")
        add(server, b"Subject: late\n\n")
        return bytes((await waiting).body)

    found = msgspec.json.decode(asyncio.run(wait()), type=dict[str, Any])
    assert [row["subject"] for row in found["messages"]] == ["late"]
    assert page_of(request).readers == 0


def test_a_wait_for_removed_mail(server: DeveloperServer) -> None:
    """A message that was removed before the request could answer is not found."""
    request = ask(server, b"subject=late&wait=60")

    async def wait() -> bytes:
        waiting = asyncio.create_task(api.list_messages(request))
        await asyncio.sleep(0)
        add(server, b"Subject: late\n\n")
        server.mailboxes.remove([server.mailboxes.mail()[-1].id])
        add(server, b"Subject: later\n\n")
        return bytes((await waiting).body)

    found = msgspec.json.decode(asyncio.run(wait()), type=dict[str, Any])
    assert [row["subject"] for row in found["messages"]] == ["later"]


def test_a_wait_reads_new_mail_only(
    server: DeveloperServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each delivery costs a waiting request one comparison, however much mail there is."""
    request = ask(server, b"subject=late&wait=60")
    compared: list[int] = []
    matches = search.matches

    def count(view: MessageView, *more: Any) -> bool:
        compared.append(view.mail.id)
        return matches(view, *more)

    async def wait() -> None:
        waiting = asyncio.create_task(api.list_messages(request))
        await asyncio.sleep(0)
        monkeypatch.setattr(search, "matches", count)
        for subject in (b"three", b"four", b"late"):
            add(server, b"Subject: " + subject + b"\n\n")
            await asyncio.sleep(0.01)
        await waiting

    asyncio.run(wait())
    assert compared == [3, 4, 5]


def test_a_wait_that_missed_events(server: DeveloperServer) -> None:
    """A message is found although its event was forgotten: more events came than are kept."""
    request = ask(server, b"subject=late&wait=60")

    async def wait() -> bytes:
        waiting = asyncio.create_task(api.list_messages(request))
        await asyncio.sleep(0)
        add(server, b"Subject: late\n\n")
        for _ in range(feed.MAX_EVENTS):
            server.feed.publish("session", number=1)
        return bytes((await waiting).body)

    found = msgspec.json.decode(asyncio.run(wait()), type=dict[str, Any])
    assert [row["subject"] for row in found["messages"]] == ["late"]


def test_a_wait_ends(server: DeveloperServer) -> None:
    """When the time is up the answer is 204, with no body."""
    answer = page_client(server).get("/api/messages?subject=never&wait=0.01")
    assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize("query", ["wait=x", "wait=-1", "wait=nan", "limit=inf", "after=x"])
def test_a_wrong_number_is_an_error(query: str) -> None:
    """The error names the parameter."""
    answer = page_client().get(f"/api/messages?{query}")
    assert answer.status_code == 400
    assert query in answer.json()["error"]


def test_messages_are_removed(server: DeveloperServer) -> None:
    """One message, those that match, or all; what was removed is still shown."""
    client = page_client(server)
    assert client.delete("/api/messages/1").json() == {"removed": 1}
    assert client.get("/api/messages/1").json()["removed"] == "2026-11-27T12:00:00.000Z"
    assert client.delete("/api/messages?to=nobody").json() == {"removed": 0}
    assert client.delete("/api/messages").json() == {"removed": 1}
    assert client.get("/api/messages").json() == {"total": 0, "messages": []}


@pytest.mark.parametrize(
    "path", ["/api/messages/x", "/api/messages/1/parts/2", "/api/messages/1/parts/x",
             "/api/messages/1/parts/" + "1" * 5000,
             "/api/sessions/9", "/api/sessions/x", "/api/nothing"],
)  # fmt: skip
def test_what_is_not_there_is_404(server: DeveloperServer, path: str) -> None:
    """Errors are JSON with a reason."""
    answer = page_client(server).get(path)
    assert answer.status_code == 404
    assert answer.json()["error"]


def test_mailboxes_show_their_holder(server: DeveloperServer) -> None:
    """A maildrop that a session holds says which."""
    server.mailboxes.note_holder("ann@example.com", 7)
    assert page_client(server).get("/api/mailboxes").json() == [
        {"address": "ann@example.com", "messages": 1, "held_by": 7},
        {"address": "new@shop.example", "messages": 1, "held_by": None},
    ]


def test_sessions_have_their_lines(server: DeveloperServer) -> None:
    """A list of sessions is short, and one session has each line with its time."""
    talk = server.sessions.open("POP3", "127.0.0.1:5")
    talk.note(user="ann", marked=("memory-1",))
    say(talk, "C DELE 1", "S +OK")
    server.sessions.open("SMTP", "127.0.0.1:6").end("quit")
    client = page_client(server)
    assert [(row["number"], row["live"]) for row in client.get("/api/sessions").json()] == [
        (2, False), (1, True)
    ]  # fmt: skip
    shown = client.get("/api/sessions/1").json()
    assert (shown["marked"], shown["line_count"]) == (1, 2)
    assert shown["lines"][0] == {
        "number": 1, "time": "2026-11-27T12:00:00.000Z", "sender": "C", "text": "DELE 1",
        "message": "",
    }  # fmt: skip


def test_faults_are_switched(server: DeveloperServer) -> None:
    """PUT replaces the faults that are on; an unknown name changes nothing."""
    client = page_client(server)
    assert client.put("/api/faults", json={"on": ["retr-cut"]}).json()["on"] == ["retr-cut"]
    wrong = client.put("/api/faults", json={"on": ["retr-cat"]})
    assert wrong.status_code == 400
    assert wrong.json()["error"].startswith("unknown fault 'retr-cat'; did you mean retr-cut")
    long = client.put("/api/faults", json={"on": ["x" * 100_000]})
    assert len(long.json()["error"]) < 2100
    assert client.put("/api/faults", content=b"{").status_code == 400
    single = {"on": ["retr-stall"], "mailbox": "Ann@example.com"}
    found = client.put("/api/faults", json=single).json()
    assert (found["on"], found["mailboxes"]) == (["retr-cut"], {"ann@example.com": ["retr-stall"]})
    refused = client.put("/api/faults", json={"on": ["smtp-busy"], "mailbox": "ann@example.com"})
    assert "RCPT ann@example.com: 550" in refused.json()["error"]
    assert client.put("/api/faults", json=single | {"on": []}).json()["mailboxes"] == {}
    assert client.get("/api/faults").json()["on"] == ["retr-cut"]


def test_the_addresses_are_told() -> None:
    """A program learns where to connect."""
    assert page_client().get("/api/info").json()["smtp"] == "127.0.0.1:1025"


def test_a_folder_that_fails(tmp_path: Path) -> None:
    """A message that the folder cannot remove stays, and the answer says why."""
    server = DeveloperServer(DeveloperOptions(keep=tmp_path))
    mail = add(server, b"Subject: x\n\n")
    file = tmp_path / "ann@example.com" / "new" / mail.uid
    file.unlink()
    file.mkdir()
    answer = page_client(server).delete(f"/api/messages/{mail.id}")
    assert answer.status_code == 500
    assert str(file) in answer.json()["error"]
    assert server.mailboxes.mail() == [mail]


def test_a_search_that_is_too_long_removes_nothing(server: DeveloperServer) -> None:
    """No part of a search is left out: what it should have kept would be removed."""
    client, before = page_client(server), len(server.mailboxes.mail())
    for path in ("/api/messages?q=", "/api/v1/search?query="):
        query = "%20".join(["-none"] * 450)
        assert client.delete(f"{path}{query}%20mailbox:no@example.com").status_code == 400
    assert client.get("/?mailbox=" + "%22" * 1000 + "&q=" + "a" * 1000).status_code == 200
    assert len(server.mailboxes.mail()) == before
