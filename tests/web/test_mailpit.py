"""Mailpit's API, as its client libraries use it."""

from __future__ import annotations

import asyncio
import json
from email.message import EmailMessage

import pytest
from httpx2 import Response
from starlette.testclient import TestClient
from starlette.types import Message
from starlette.websockets import WebSocket

from restante.developer.server import DeveloperServer
from restante.web import mailpit_events
from restante.web import page as web_page
from restante.web.app import create_app
from restante.web.security import Guard
from support.page_client import ADDRESSES, EVENTS, add, page_client, quiet_server


@pytest.fixture
def server() -> DeveloperServer:
    made = quiet_server()
    add(made, b"From: x@example.org\nSubject: first\n\nhi\n")
    mail = EmailMessage()
    mail["From"] = "The Shop <shop@example.com>"
    mail["To"] = "Ann <ann@example.com>"
    mail["Subject"] = "Welcome"
    mail["Message-ID"] = "<42@shop.example>"
    mail["List-Unsubscribe"] = "<https://shop.example/u>, <mailto:u@shop.example>"
    mail.set_content("Hello Ann\n")
    mail.add_alternative("<p>Hello <b>Ann</b></p>", subtype="html")
    mail.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="bill.pdf")
    add(made, mail)
    return made


def test_a_list_has_the_counts(server: DeveloperServer) -> None:
    """The list, its counts and its rows have Mailpit's names."""
    found = page_client(server).get("/api/v1/messages?limit=1").json()
    rows = found.pop("messages")
    assert found == {
        "total": 2, "unread": 2, "count": 1, "messages_count": 2, "messages_unread": 2,
        "start": 0, "tags": [],
    }  # fmt: skip
    assert rows[0]["From"] == {"Name": "The Shop", "Address": "shop@example.com"}
    assert rows[0]["To"] == [{"Name": "Ann", "Address": "ann@example.com"}]
    assert (rows[0]["ID"], rows[0]["MessageID"]) == ("2", "42@shop.example")
    assert (rows[0]["Attachments"], rows[0]["Snippet"]) == (1, "Hello Ann")
    assert rows[0]["Read"] is False


def test_a_message_has_its_parts(server: DeveloperServer) -> None:
    """A message has both texts and its files; a look at it marks it as read."""
    client = page_client(server)
    found = client.get("/api/v1/message/latest").json()
    assert (found["Text"].strip(), found["HTML"].strip()) == (
        "Hello Ann", "<p>Hello <b>Ann</b></p>"
    )  # fmt: skip
    assert found["ListUnsubscribe"]["Links"] == ["https://shop.example/u", "mailto:u@shop.example"]
    (part,) = found["Attachments"]
    assert (part["FileName"], part["ContentType"], part["Size"]) == (
        "bill.pdf", "application/pdf", 4
    )  # fmt: skip
    assert client.get(f"/api/v1/message/2/part/{part['PartID']}").content == b"%PDF"
    assert client.get("/api/v1/message/2/headers").json()["Message-Id"] == ["<42@shop.example>"]
    assert client.get("/api/v1/message/2/raw").text.startswith("From: The Shop")
    assert client.get("/view/latest.txt").text.strip() == "Hello Ann"
    assert client.get("http://127.0.0.1//view/2.html").text.count("<b>Ann</b>") == 1
    assert client.get("/api/v1/messages").json()["unread"] == 1


def test_a_search_lists_and_removes(server: DeveloperServer) -> None:
    """The same search finds messages, and removes them."""
    client = page_client(server)
    found = client.get("/api/v1/search", params={"query": "subject:welcome to:ann"}).json()
    assert (found["messages_count"], found["total"]) == (1, 2)
    assert client.get("/api/v1/search").status_code == 400
    assert client.delete("/api/v1/search", params={"query": "subject:welcome"}).text == "ok"
    assert client.get("/api/v1/messages").json()["total"] == 1


def test_messages_are_marked_and_removed(server: DeveloperServer) -> None:
    """Ids choose messages, and no ids mean all."""
    client = page_client(server)
    assert client.put("/api/v1/messages", json={"Read": True}).text == "ok"
    assert client.get("/api/v1/info").json()["Unread"] == 0
    client.put("/api/v1/messages", json={"IDs": ["1"], "Read": False})
    assert client.get("/api/v1/messages").json()["unread"] == 1
    removed = client.request("DELETE", "/api/v1/messages", json={"IDs": ["1"]})
    assert (removed.text, len(server.mailboxes.mail())) == ("ok", 1)
    assert client.delete("/api/v1/messages").text == "ok"
    assert server.mailboxes.mail() == []


@pytest.mark.parametrize("name", ["none", "-1", ""])
def test_ids_that_no_message_has(server: DeveloperServer, name: str) -> None:
    """A request that names only unknown ids changes no message."""
    client = page_client(server)
    client.put("/api/v1/messages", json={"IDs": [name], "Read": True})
    client.request("DELETE", "/api/v1/messages", json={"IDs": [name]})
    assert client.get("/api/v1/messages").json()["unread"] == 2


def test_other_routes_answer(server: DeveloperServer) -> None:
    """The routes that clients ask at their start answer; an unknown one is 404."""
    client = page_client(server)
    assert client.get("/readyz").text == client.get("/livez").text == "ok"
    assert client.get("/api/v1/webui").json()["ChaosEnabled"] is True
    assert client.get("/api/v1/tags").json() == []
    assert client.get("/api/v1/message/none").status_code == 404
    assert client.get("/api/v1/message/2/html-check").status_code == 404
    assert client.request("DELETE", "/api/v1/messages", content=b"{").status_code == 400
    not_text = b'{"IDs":["\xff"]}'
    assert client.request("DELETE", "/api/v1/messages", content=not_text).status_code == 400


def test_a_form_names_messages_too(server: DeveloperServer) -> None:
    """A client of PyPI sends ids as a form, and removes only what it names."""
    page_client(server).request("DELETE", "/api/v1/messages", data={"ids": ["1"]})
    assert [mail.id for mail in server.mailboxes.mail()] == [2]
    page_client(server).request("DELETE", "/api/v1/messages", json={"ids": ["2"]})
    assert server.mailboxes.mail() == []


def test_a_message_is_sent_by_json() -> None:
    """A message of JSON is in the mailbox of each recipient, with its texts and its files."""
    server = quiet_server()
    sending = {
        "From": {"Email": "shop@example.com", "Name": "Shop"},
        "To": [{"Email": "Ann@example.com"}],
        "Bcc": ["bob@example.com"],
        "Subject": "Gr\u00fc\u00dfe",
        "Text": "hi",
        "HTML": "<p>hi</p>",
        "Attachments": [{"Content": "UERG", "Filename": "a.pdf", "ContentType": "application/pdf"}],
    }
    client = page_client(server)
    assert client.post("/api/v1/send", json=sending).json() == {"ID": "1"}
    assert [mail.mailbox for mail in server.mailboxes.mail()] == [
        "ann@example.com", "bob@example.com"
    ]  # fmt: skip
    found = client.get("/api/v1/message/1").json()
    assert (found["Subject"], found["HTML"].strip()) == ("Gr\u00fc\u00dfe", "<p>hi</p>")
    assert client.get("/api/v1/message/1/part/3").content == b"PDF"
    assert b"bob@" not in server.mailboxes.mail()[0].octets


@pytest.mark.parametrize(
    "change",
    [
        {"To": []}, {"From": {"Email": "x\r\nBcc: evil@x"}}, {"Subject": "a\nb: c"}, {"Subject": 1},
        {"Headers": {"X": "a\r\nb: c"}}, {"Attachments": [{"Content": "?", "Filename": "a"}]},
        {"Cc": [{"Email": ""}]}, {"Cc": [{"Email": "b@[x"}]}, {"Bcc": [""]},
        {"Headers": {"": "b"}}, {"Headers": {"X:Y": "b"}}, {"Headers": {"X Y": "b"}},
    ],
)  # fmt: skip
def test_an_invalid_message_is_not_sent(change: dict[str, object]) -> None:
    """An invalid field is an error, and no field can add another one."""
    server = quiet_server()
    sending = {"From": {"Email": "a@x"}, "To": [{"Email": "b@x"}], **change}
    assert page_client(server).post("/api/v1/send", json=sending).status_code == 400
    assert server.mailboxes.mail() == []


@pytest.mark.parametrize(
    ("field", "value"),
    [("Resent-To", ".=<=?utf-8?b?"), ("Reply-To", "a:;=?utf-8?q?''"), ("Resent-To", "\t.]")],
)
def test_an_odd_address_is_no_internal_error(field: str, value: str) -> None:
    """Python's email package raises errors of many kinds, which differ by version."""
    sending = {"From": {"Email": "a@x"}, "To": [{"Email": "b@x"}], "Headers": {field: value}}
    answer = page_client(quiet_server()).post("/api/v1/send", json=sending)
    assert answer.status_code in {200, 400}


def test_a_message_brings_its_own_date_and_id() -> None:
    """A program may choose all fields that it may also leave out."""
    server = quiet_server()
    fields = {"Date": "Thu, 26 Nov 2026 12:00:00 +0000", "message-id": "<1@shop.example>"}
    sending = {"From": {"Email": "a@x"}, "To": [{"Email": "b@x"}], "Headers": fields}
    assert page_client(server).post("/api/v1/send", json=sending).status_code == 200
    octets = server.mailboxes.mail()[0].octets.lower()
    assert octets.count(b"date: ") == octets.count(b"message-id: ") == 1
    assert b"<1@shop.example>" in octets


def test_tags_are_set_listed_renamed_and_removed(server: DeveloperServer) -> None:
    """Tags of the API replace those before; a search and the counts know them."""
    client = page_client(server)
    tags = {"IDs": ["1", "2", "x"], "Tags": ["Blue", "two  words", "blue"]}
    assert client.put("/api/v1/tags", json=tags).text == "ok"
    assert client.get("/api/v1/tags").json() == ["Blue", "two words"]
    client.put("/api/v1/tags", json={"IDs": ["1"]})
    assert client.get("/api/v1/info").json()["Tags"] == {"Blue": 1, "two words": 1}
    assert client.put("/api/v1/tags/two%20words", json={"Name": "Red"}).text == "ok"
    found = client.get("/api/v1/search", params={"query": "tag:red"}).json()
    assert [row["Tags"] for row in found["messages"]] == [["Blue", "Red"]]
    assert found["tags"] == ["Blue", "Red"]
    assert client.delete("/api/v1/tags/blue").text == "ok"
    assert client.get("/api/v1/message/2").json()["Tags"] == ["Red"]
    assert client.put("/api/v1/tags", json={"IDs": ["1"], "Tags": ["<b>"]}).status_code == 400
    assert client.put("/api/v1/tags/Red", json={"Name": ""}).status_code == 400
    assert client.put("/api/v1/tags", content=b"{").status_code == 400
    assert client.get("/api/v1/tags").json() == ["Red"]


def test_tags_come_with_a_message() -> None:
    """X-Tags, a plus-address and the request that sends give tags."""
    server = quiet_server()
    add(server, b"X-Tags: one, two,\n three\n\nX-Tags: body\n", "ann+shop@example.com")
    client = page_client(server)
    sending = {"From": {"Email": "a@example.com"}, "Bcc": ["b@example.com"], "Tags": ["sent"]}
    assert client.post("/api/v1/send", json=sending).status_code == 200
    assert client.post("/api/v1/send", json=sending | {"Tags": ["?"]}).status_code == 400
    tags = [row["Tags"] for row in client.get("/api/v1/messages").json()["messages"]]
    assert tags == [["sent"], ["one", "shop", "three", "two"]]


def test_chaos_is_faults_of_smtp(server: DeveloperServer) -> None:
    """Triggers become rules, other faults stay, and a trigger of 0 percent has no rule."""
    client = page_client(server)
    server.faults.set(["smtp-slow"])
    usual = {
        "Sender": {"ErrorCode": 451, "Probability": 0},
        "Recipient": {"ErrorCode": 451, "Probability": 0},
        "Authentication": {"ErrorCode": 535, "Probability": 0},
    }
    assert client.get("/api/v1/chaos").json() == usual
    wanted = {"Sender": {"ErrorCode": 421, "Probability": 100}, "Recipient": {"Probability": 30}}
    found = client.put("/api/v1/chaos", json=wanted).json()
    assert found == usual | {
        "Sender": {"ErrorCode": 421, "Probability": 100},
        "Recipient": {"ErrorCode": 451, "Probability": 30},
    }
    assert server.faults.on == [
        "smtp-slow", "MAIL~100%: 421 Chaos sender error", "RCPT~30%: 451 Chaos recipient error"
    ]  # fmt: skip
    for wrong in ({"ErrorCode": 399}, {"ErrorCode": 600}, {"Probability": 101}):
        bad = {"Sender": {"ErrorCode": 451, "Probability": 1} | wrong}
        assert client.put("/api/v1/chaos", json=bad).status_code == 400
    assert client.put("/api/v1/chaos", json={}).json() == usual
    assert server.faults.on == ["smtp-slow"]


def test_the_websocket_tells_what_happens(server: DeveloperServer) -> None:
    """New, changed and removed messages come as Mailpit's events, and the counts after them."""
    client = page_client(server)
    with client.websocket_connect(EVENTS) as socket:
        server.mailboxes.tag([2], ["Blue"])
        assert socket.receive_json() == {"Type": "update", "Data": {"ID": "2", "Tags": ["Blue"]}}
        client.get("/api/v1/message/2")
        add(server, b"Subject: third\n\nhi\n")
        server.mailboxes.remove([1])
        kinds, last = {}, ""
        while "delete" not in kinds or last != "stats":  # counts may come between, too
            event = socket.receive_json()
            last = event["Type"]
            kinds[last] = event["Data"]
        assert kinds["update"] == {"ID": "2", "Read": True}
        assert kinds["new"]["Subject"] == "third"
        assert kinds["delete"] == {"ID": "1"}
        assert (kinds["stats"]["Total"], kinds["stats"]["Unread"]) == (2, 1)
        server.feed.publish("stopped")
        assert socket.receive()["type"] == "websocket.close"


def test_no_message_is_missed_at_the_start(server: DeveloperServer) -> None:
    """A message that comes while a client connects to the websocket is sent to it, too."""

    async def connect() -> object:
        first = asyncio.get_running_loop().create_future()
        received = iter([{"type": "websocket.connect"}])

        async def send(message: Message) -> None:
            if message["type"] == "websocket.accept":
                add(server, b"Subject: late\n\n")
            elif not first.done():
                first.set_result(json.loads(message["text"]))

        async def receive() -> Message:
            for message in received:
                return message
            return await asyncio.Event().wait()  # type: ignore[return-value]  # it never ends

        app = create_app(server, ADDRESSES, Guard())
        socket = WebSocket({"type": "websocket", "app": app}, receive, send)
        following = asyncio.create_task(mailpit_events.follow(socket))
        try:
            return (await asyncio.wait_for(first, 60))["Data"]["Subject"]
        finally:
            following.cancel()

    assert asyncio.run(connect()) == "late"


def test_readers_of_the_websocket_are_bounded(server: DeveloperServer) -> None:
    """One reader too many gets code 1013, and a reader that leaves frees its place."""
    client = page_client(server)
    page = client.app.state.page  # type: ignore[attr-defined]  # of Starlette
    page.readers = web_page.MAX_READERS
    with client.websocket_connect(EVENTS) as socket:
        assert socket.receive() == {"type": "websocket.close", "code": 1013, "reason": ""}
    page.readers = 0
    with client.websocket_connect(EVENTS):
        pass
    assert page.readers == 0


def send(client: TestClient, **more: object) -> Response:
    """Send a message by JSON."""
    sending = {"From": {"Email": "shop@example.com"}, "To": [{"Email": "ann@example.com"}]}
    return client.post("/api/v1/send", json=sending | more)


def test_json_is_read_as_in_go() -> None:
    """Names come in any case, and null is the same as no value: programs in Go send both."""
    server = quiet_server()
    client = page_client(server)
    nothing = dict.fromkeys(("Cc", "Bcc", "ReplyTo", "Attachments", "Headers", "Tags", "HTML"))
    assert send(client, **nothing).status_code == 200
    small = {"from": {"email": "a@x", "name": None}, "to": [{"email": "b@x"}], "subject": "small"}
    assert client.post("/api/v1/send", json=small).status_code == 200
    assert server.mailboxes.mail("b@x")[0].octets.startswith(b"From: a@x\nTo: b@x\nSubject: small")
    chaos = {"sender": {"probability": 5, "errorcode": None}, "Recipient": None}
    assert client.put("/api/v1/chaos", json=chaos).json()["Sender"] == {
        "ErrorCode": 451, "Probability": 5
    }  # fmt: skip
    assert client.put("/api/v1/tags", json={"ids": ["1"], "tags": ["blue"]}).text == "ok"
    assert client.put("/api/v1/tags", json={"IDs": ["2"], "Tags": None}).text == "ok"
    assert client.get("/api/v1/tags").json() == ["blue"]
    assert client.put("/api/v1/messages", json={"IDs": None, "Read": True}).text == "ok"
    assert client.get("/api/v1/messages").json()["unread"] == 0
    odd_values: tuple[object, ...] = ([], 1, {"IDs": [None]}, {"IDs": {}})
    for odd in odd_values:
        assert client.put("/api/v1/tags", json=odd).status_code == 400
    assert client.put("/api/v1/tags/blue", json={"Name": {}}).status_code == 400


def test_a_file_of_json_has_its_type() -> None:
    """The name says the type where the request does not, a data URL is read, a cid is inline."""
    server = quiet_server()
    client = page_client(server)
    files = [
        {"Content": "data:application/pdf;base64,UERG", "Filename": "a.pdf", "ContentType": ""},
        {"Content": "UERG", "Filename": "b"},
        {"Content": "iVBORw0KGgo=", "Filename": "c.png", "ContentID": "picture"},
    ]
    assert send(client, HTML="<img src='cid:picture'>", Attachments=files).status_code == 200
    found = client.get("/api/v1/message/1").json()
    assert [(part["FileName"], part["ContentType"]) for part in found["Attachments"]] == [
        ("a.pdf", "application/pdf"), ("b", "application/octet-stream")
    ]  # fmt: skip
    assert [(part["FileName"], part["ContentType"]) for part in found["Inline"]] == [
        ("c.png", "image/png")
    ]
    (row,) = client.get("/api/v1/search", params={"query": "has:inline"}).json()["messages"]
    assert row["Attachments"] == 2
    assert client.get("/api/v1/message/1/part/2").content == b"PDF"
    assert "data:image/png;base64,iVBORw0KGgo=" in client.get("/view/1.html").text


def test_an_address_beyond_ascii_gets_mail() -> None:
    """An address in Unicode has its mailbox, and the header has the address as it is."""
    server = quiet_server()
    client = page_client(server)
    person = {"Email": "j\u00f6rg@ex\u00e4mple.de", "Name": "J\u00f6rg"}
    assert send(client, To=[person], Subject="Gr\u00fc\u00dfe").status_code == 200
    assert server.mailboxes.names() == [person["Email"]]
    found = client.get("/api/v1/message/1").json()
    assert found["To"] == [{"Name": person["Name"], "Address": person["Email"]}]
    assert (found["Subject"], found["Bcc"]) == ("Gr\u00fc\u00dfe", [])
    assert send(client, To=[{"Email": "j\u00f6rg@a@b"}]).status_code == 400
    assert send(client, To=[{"Email": "j\u2028X: y@b"}]).status_code == 400
    assert send(client, To=[{"Email": '"a b"@x', "Name": "Ann"}]).status_code == 200
    assert client.get("/api/v1/message/latest").json()["To"][0]["Address"] == '"a b"@x'


def test_a_recipient_that_the_header_lacks_is_bcc(server: DeveloperServer) -> None:
    """A recipient of the envelope alone is in Bcc, and a search finds it there."""
    add(server, b"From: a@x\nTo: Ann <ann@example.com>\n\nhi\n", "secret@example.com")
    add(server, b"To: Ann <ANN@example.com>\n\nhi\n")
    add(server, b"From: nobody\n\nhi\n", "a-login")
    client = page_client(server)
    rows = client.get("/api/v1/messages?limit=3").json()["messages"]
    assert [row["Bcc"] for row in rows] == [
        [], [], [{"Name": "", "Address": "secret@example.com"}]
    ]  # fmt: skip
    assert [row["From"]["Address"] for row in rows] == ["", "", "a@x"]
    for query in ("bcc:secret", "addressed:secret"):
        found = client.get("/api/v1/search", params={"query": query}).json()
        assert [row["ID"] for row in found["messages"]] == ["3"]


def test_the_latest_of_a_search(server: DeveloperServer) -> None:
    """`latest` may have a search, and means the newest message that matches."""
    client = page_client(server)
    add(server, b"Subject: third\nContent-Type: text/html\n\n<p>third\n", "bob@example.com")
    assert client.get("/api/v1/message/latest?query=subject:welcome").json()["ID"] == "2"
    assert "<b>Ann</b>" in client.get("/view/latest.html?query=to:ann").text
    assert client.get("/view/latest.txt?query=is:unread%20!subject:third").text == "hi\n"
    assert client.get("/api/v1/message/latest?query=subject:none").status_code == 404


def test_a_removed_message_is_gone(server: DeveloperServer) -> None:
    """Mailpit has no list of removed messages: each request for one is answered by 404."""
    client = page_client(server)
    assert client.request("DELETE", "/api/v1/messages", json={"IDs": ["2"]}).text == "ok"
    for path in ("/api/v1/message/2", "/api/v1/message/2/raw", "/view/2.html", "/view/2.txt"):
        assert client.get(path).status_code == 404
    assert client.get("/api/v1/message/memory-1").json()["ID"] == "1"
