"""Trace fields on top of messages, which a Maildir gets, and a table of the account asks for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fetch.destinations.contract import *  # noqa: F403
from fetch.destinations.contract import LETTER, deliver, opened
from fetch.destinations.smtp_double import smtp_double
from restante.fetch.destinations.maildir import MaildirDestination
from restante.fetch.destinations.smtp.address import parse_smtp_url
from restante.fetch.destinations.smtp.destination import SmtpDestination
from restante.fetch.destinations.trace import TracedDestination, trace_fields

ADDED = trace_fields("ann@example.com", "mail.example.com", "home", 1_000_000_000)


class TracedPlace:
    """A Maildir whose messages begin with trace fields."""

    exact = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "box"

    def destination(self) -> TracedDestination:
        return TracedDestination(MaildirDestination(str(self.folder)), lambda: ADDED)

    def files(self) -> list[Path]:
        files = [*(self.folder / "new").iterdir()] if self.folder.exists() else []
        return sorted(files, key=lambda path: [int(n) for n in re.findall("[0-9]+", path.name)])

    def messages(self) -> list[bytes]:
        found = [re.sub(rb"(?<!\r)\n", b"\r\n", file.read_bytes()) for file in self.files()]
        assert all(message.startswith(ADDED) for message in found)
        return [message.removeprefix(ADDED) for message in found]

    def remove_all(self) -> None:
        for file in self.files():
            file.unlink()

    def carries(self, message: bytes) -> bool:
        return True


@pytest.fixture
def place(tmp_path: Path) -> TracedPlace:
    return TracedPlace(tmp_path)


def test_fields(place: TracedPlace) -> None:
    """Delivered-To has the user, Received the server, this machine and the time."""
    destination = opened(place)
    deliver(destination, LETTER)
    text = place.files()[0].read_text()
    assert text.startswith("Delivered-To: ann@example.com\nReceived: from mail.example.com by home")
    assert re.search(r"for <ann@example\.com>; \w{3}, \d\d Sep 2001 ", text)


def test_recipient_of_the_source(tmp_path: Path) -> None:
    """The fields on top are not those of the source, which have the recipient and the date."""
    with smtp_double() as double:
        url = f"smtp://127.0.0.1:{double.port}?rcpt=post@example.com"
        addresses = {"bob@example.org": "bob@local", "ann@example.com": "ann@local"}
        address = parse_smtp_url(url, "Delivered-To", addresses)
        smtp = SmtpDestination(url, address, str(tmp_path))
        destination = TracedDestination(smtp, lambda: ADDED)
        destination.open()
        deliver(destination, b"Delivered-To: bob@example.org\r\n" + LETTER)
        destination.close()
    assert [received.recipients for received in double.received] == [[b"bob@local"]]


def test_line_end_in_a_name() -> None:
    """A name with a line end begins no other field."""
    assert trace_fields("a\r\nBcc: b", "s", "h", 0).startswith(b"Delivered-To: a??Bcc: b\r\nRec")
