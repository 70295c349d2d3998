"""The server as the author of a program that sends mail needs it."""

from __future__ import annotations

import asyncio
import email.message
import smtplib

import pytest

from restante import testing
from restante.developer.mailboxes import DeveloperMail
from restante.developer.server import DeveloperServer
from restante.testing import waiting
from restante.testing.received import read_received
from restante.testing.waiting import MailQuery


def send(server: testing.MemoryServer, to: str, subject: str = "Welcome") -> None:
    message = email.message.EmailMessage()
    message["To"] = to
    message["Subject"] = subject
    message.set_content("Click https://shop.example/confirm?t=42.\n")
    message.add_alternative('<a href="https://shop.example/html">x</a>', subtype="html")
    with smtplib.SMTP(server.host, server.smtp_port, timeout=20) as client:
        client.login("shop", "word")
        client.send_message(message, from_addr="shop@example.com")


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The ids of the messages that are parsed."""
    ids: list[int] = []

    def count(mail: DeveloperMail) -> testing.ReceivedMessage:
        ids.append(mail.id)
        return read_received(mail)

    monkeypatch.setattr(waiting, "read_received", count)
    return ids


def test_no_message_is_parsed_twice(parsed: list[int]) -> None:
    """A wait, which each line of each session wakes, parses only the messages that are new."""
    server = DeveloperServer()
    find = MailQuery(subject="three").searching(server)
    for subject in (b"one", b"two", b"three"):
        server.mailboxes.add("ann", b"Subject: " + subject + b"\n\n")
        found = find(), find()
    assert parsed == [1, 2, 3]
    assert found[0] is not None
    removed = MailQuery(subject="three", removed=True).searching(server)
    assert removed() is None
    server.mailboxes.remove([3])
    assert removed() is not None


def test_a_failure_parses_what_it_lists(parsed: list[int]) -> None:
    """The text of a failed wait has the latest messages, and only these are parsed for it."""
    server = DeveloperServer()
    for _ in range(waiting.MAX_LISTED + 30):
        server.mailboxes.add("ann", b"Subject: a\n\n")
    server.mailboxes.remove([1])
    text = waiting.describe(server)
    assert parsed == list(range(31, 51))
    assert text.startswith("messages: 50\n  ...\n  ann: 'a'\n")


def test_wait() -> None:
    """`wait` returns the first message that matches, with its links, octets and envelope."""
    with testing.serving() as server:
        send(server, "other@shop.example")
        send(server, "New@Shop.example")
        mail = server.wait(to="new@shop.example", subject="welcome", sender="shop@")
        assert mail["To"] == "New@Shop.example"
        assert repr(mail) == "<message 2 to new@shop.example: 'Welcome'>"
        assert mail.links == ["https://shop.example/html", "https://shop.example/confirm?t=42"]
        assert "Click" in mail.text
        assert "<a href" in mail.html
        assert mail.raw.startswith(b"Return-Path: <shop@example.com>\n")
        assert (mail.mailbox, mail.sender) == ("new@shop.example", "shop@example.com")
        assert server.wait(text="CLICK").mailbox == "other@shop.example"
        assert server.wait(text="confirm", after=server.mail[0]).id == mail.id


def test_wait_for_a_message_without_header() -> None:
    """A message without any field is true, and found as any other."""
    with testing.serving() as server:
        ann = server.account("ann")
        ann.deliver("\nhello\n")
        assert all(ann.messages)
        assert ann.wait(text="hello", timeout=0).text == "hello\n"
        assert asyncio.run(ann.wait_async(timeout=0)).uid == ann.messages[0].uid
        with pytest.raises(testing.UnexpectedMailError):
            ann.assert_none()


def test_failure_lists_what_came() -> None:
    """The error lists the messages that came, and the commands of each session."""
    with testing.serving() as server:
        send(server, "other@shop.example")
        server.wait_closed()
        with pytest.raises(testing.NoMailError) as caught:
            server.wait(to="New@shop.example", subject="Welcome", timeout=0)
        text = str(caught.value)
        assert text.splitlines()[:4] == [
            "no message to new@shop.example with 'Welcome' in its subject came within 0 seconds",
            "messages: 1",
            "  other@shop.example: 'Welcome' from shop@example.com",
            "sessions: 1",
        ]
        session = "smtp shop (quit): ehlo, auth cram-md5, mail from:<shop@example.com>"
        assert session in text.lower()  # smtplib writes some words small from Python 3.13 on
        assert "word" not in text


def test_assert_none() -> None:
    """`assert_none` fails for a message that came, and passes when none does."""
    with testing.serving() as server:
        send(server, "new@shop.example")
        server.assert_none(to="other@shop.example")
        server.assert_none(to="new@shop.example", subject="Goodbye")
        with pytest.raises(testing.UnexpectedMailError, match="a message to new"):
            server.assert_none(to="new@shop.example", within=20)


def test_wait_in_an_event_loop() -> None:
    """`wait_async` lets the event loop go on, and is woken by the server's thread."""

    async def run(server: testing.MemoryServer) -> str:
        loop = asyncio.get_running_loop()
        waiting = asyncio.create_task(server.wait_async(to="new@shop.example", timeout=20))
        await asyncio.sleep(0)
        await loop.run_in_executor(None, send, server, "new@shop.example")
        with pytest.raises(testing.NoMailError):
            await server.account("bob").wait_async(timeout=0)
        return str((await waiting)["subject"])

    with testing.serving() as server:
        assert asyncio.run(run(server)) == "Welcome"
