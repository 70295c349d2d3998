"""TLS, and IMAP servers that send an octet now and then, or without an end, at each step."""

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
    Settled,
)
from restante.fetch.spool import Spool
from restante.server.tls import self_signed
from support.dovecot import IMAP, dovecot
from support.live import PATIENCE
from support.other_user import public_folder
from support.process import free_port

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


def deliver_and_settle(url: str, folder: Path, bounds: ImapBounds) -> Settled:
    """Take a message through all steps of a session, and return whether it is there."""
    spool = Spool(str(folder))
    destination = ImapDestination(url, parse_imap_url(url), spool, lambda: "secret")
    destination.bounds = bounds
    try:
        destination.open()
        [draft], [token] = prepare(destination, LETTER)
        destination.deliver(draft)
        return destination.settle(token)
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


def test_octets_before_tls(tmp_path: Path) -> None:
    """Octets that an attacker adds to the answer to STARTTLS end the session."""

    def answer(self: ImapHandler, tag: bytes, word: bytes, command: bytes) -> bytes | None:
        if word != b"STARTTLS":
            return ImapHandler.answer(self, tag, word, command)
        self.wfile.write(tag + b" OK begin\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n")
        return None

    with (
        serving(ImapHandler, answer=answer, capabilities=b" STARTTLS") as (port, _),
        pytest.raises(DestinationUnavailableError, match="somebody may be between"),
    ):
        deliver_and_settle(f"imap://ann@127.0.0.1:{port}/INBOX", tmp_path, ImapBounds())


@pytest.fixture(scope="module")
def tls_ports() -> Iterator[tuple[Path, dict[str, int]]]:
    """Give a certificate, and the ports of Dovecot with STARTTLS and with TLS at once."""
    with public_folder() as folder:
        made = self_signed.create_self_signed(("localhost",), ("127.0.0.1",))
        (folder / "certificate.pem").write_bytes(made.certificate)
        (folder / "key.pem").write_bytes(made.key)
        ports = {"imap": free_port(), "imaps": free_port()}
        listening = IMAP.replace("PORT", str(ports["imap"]))
        listening = listening.replace("port = 0", f"port = {ports['imaps']}\n    ssl = yes")
        files = f"ssl_cert = <{folder}/certificate.pem\nssl_key = <{folder}/key.pem\n"
        with dovecot(folder, "secret", f"{listening}ssl = yes\n{files}"):
            yield folder / "certificate.pem", ports


@pytest.mark.parametrize("scheme", ["imap", "imaps"])
def test_tls(tls_ports: tuple[Path, dict[str, int]], scheme: str, tmp_path: Path) -> None:
    """A message is delivered by STARTTLS and by TLS at once, if the certificate is trusted."""
    certificate, ports = tls_ports
    url = f"{scheme}://ann@localhost:{ports[scheme]}/INBOX"
    assert deliver_and_settle(f"{url}?cafile={certificate}", tmp_path, ImapBounds()) is Settled.HERE
    with pytest.raises(DestinationUnavailableError, match=r"not valid: .*add cafile=FILE"):
        deliver_and_settle(url, tmp_path, ImapBounds())


def test_an_unusable_cafile(tmp_path: Path) -> None:
    """A file of certificates that is missing, or has none, is named."""
    empty = tmp_path / "empty.pem"
    empty.touch()
    for file, problem in ((empty, "no valid certificate"), (tmp_path / "none", "No such file")):
        with pytest.raises(DestinationUnavailableError, match=f"cafile={file}: .*{problem}"):
            deliver_and_settle(f"imaps://ann@localhost:1/?cafile={file}", tmp_path, ImapBounds())
