"""IMAP servers that send an octet now and then, or without an end, at each step of a session."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from fetch.destinations.contract import LETTER, prepare
from fetch.destinations.imap_double import ImapHandler, serving
from restante.fetch.destinations.imap.address import parse_imap_url
from restante.fetch.destinations.imap.connection import ImapBounds
from restante.fetch.destinations.imap.destination import ImapDestination
from restante.fetch.interfaces import (
    DeliveryInDoubtError,
    DestinationError,
    DestinationUnavailableError,
)
from restante.fetch.spool import Spool
from support.live import PATIENCE

LONG, MANY = PATIENCE, 1 << 40
SHORT_TIME = ImapBounds(
    open=0.3, command=0.3, stall=LONG, logout=0.1, slowest=MANY, answer=MANY, list=MANY
)
FEW_OCTETS = ImapBounds(
    open=LONG, command=LONG, stall=LONG, logout=LONG, answer=20_000, list=20_000
)
BEFORE_LOGIN = {  # steps, and what the server offers, so that the client gets there
    b"GREETING": b"",
    b"CAPABILITY": b"",
    b"STARTTLS": b" STARTTLS",
    b"LOGIN": b"",
    b"AUTHENTICATE": b" AUTH=PLAIN",
}
STEPS = {
    **BEFORE_LOGIN,
    b"STATUS": b"",
    b"APPEND": b"",
    b"MESSAGE": b"",
    b"CAPABILITY again": b"",
    b"EXAMINE": b"",
    b"UID": b"",
}
FLOODS = {
    "a line": itertools.repeat(b"a" * 8192),
    "lines": itertools.repeat(b"* OK more\r\n" * 500),
    "a literal": itertools.chain([b"* OK {99999999999}\r\n"], itertools.repeat(b"a" * 8192)),
    "literals": itertools.repeat(b"* OK {1000}\r\n" + b"a" * 1000 + b"\r\n"),
    "continuations": itertools.repeat(b"+ \r\n" * 2000),
}


class PouringHandler(ImapHandler):
    """Sends what a test says, instead of the answer to one step.

    Attributes:
        step: the word of a command, with "again" for the second one, GREETING, or MESSAGE for the
            answer to a message.
        octets: what it sends.
        pause: seconds between two pieces.
    """

    step: ClassVar[bytes]
    octets: ClassVar[Iterator[bytes]]
    pause: ClassVar[float] = 0
    over: ClassVar[threading.Event]

    def handle(self) -> None:
        if self.step == b"GREETING":
            self.pour()
        else:
            super().handle()

    def answer(self, tag: bytes, word: bytes, command: bytes) -> bytes | None:
        if word == b"APPEND" and self.step != word:
            self.take_literal(len(LETTER))
            word = b"MESSAGE"
        if self.step in (word, word + b" again" if self.commands.count(word) > 1 else word):
            self.pour()
            return None
        return super().answer(tag, word, command)

    def pour(self) -> None:
        with contextlib.suppress(OSError):
            for piece in self.octets:
                self.wfile.write(piece)
                if self.over.wait(self.pause):
                    return


@contextlib.contextmanager
def pouring(**own: Any) -> Iterator[int]:
    """Serve while the block runs, and return the port."""
    over = threading.Event()
    with serving(PouringHandler, over=over, **own) as (port, _):
        try:
            yield port
        finally:
            over.set()


def deliver_and_settle(url: str, folder: Path, bounds: ImapBounds) -> None:
    """Take a message through all steps of a session."""
    spool = Spool(str(folder))
    destination = ImapDestination(url, parse_imap_url(url), spool, lambda: "secret")
    destination.bounds = bounds
    try:
        destination.open()
        [draft], [token] = prepare(destination, LETTER)
        destination.deliver(draft)
        destination.settle(token)
    finally:
        destination.close()


@pytest.mark.parametrize("step", STEPS)
def test_an_octet_now_and_then(step: bytes, tmp_path: Path) -> None:
    """The time of a step is one for all of it, however its octets come."""
    bounds = SHORT_TIME if step in BEFORE_LOGIN else replace(SHORT_TIME, open=LONG)
    drip = itertools.repeat(b"a")
    with (
        pouring(step=step, capabilities=STEPS[step], octets=drip, pause=0.01) as port,
        pytest.raises(DestinationError, match="did not answer in time") as caught,
    ):
        deliver_and_settle(f"imap://ann@127.0.0.1:{port}/INBOX", tmp_path, bounds)
    assert isinstance(caught.value, DeliveryInDoubtError) == (step == b"MESSAGE")


@pytest.mark.parametrize(
    ("step", "flood"),
    [*((step, "lines") for step in STEPS), *((b"LOGIN", flood) for flood in FLOODS)],
)
def test_octets_without_an_end(step: bytes, flood: str, tmp_path: Path) -> None:
    """The octets of a step are bounded, whether they are lines, literals or continuations."""
    with (
        pouring(step=step, capabilities=STEPS[step], octets=FLOODS[flood]) as port,
        pytest.raises(DestinationError, match="too many octets") as caught,
    ):
        deliver_and_settle(f"imap://ann@127.0.0.1:{port}/INBOX", tmp_path, FEW_OCTETS)
    assert isinstance(caught.value, DeliveryInDoubtError) == (step == b"MESSAGE")


def test_a_handshake_that_drips(tmp_path: Path) -> None:
    """TLS from the first octet has the same time as all before the login."""
    record = itertools.chain([b"\x16\x03\x03\x40\x00"], itertools.repeat(b"a"))
    with (
        pouring(step=b"GREETING", octets=record, pause=0.01) as port,
        pytest.raises(DestinationUnavailableError, match="did not answer in time"),
    ):
        deliver_and_settle(f"imaps://ann@127.0.0.1:{port}/INBOX", tmp_path, SHORT_TIME)
