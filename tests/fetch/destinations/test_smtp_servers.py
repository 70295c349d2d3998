"""Delivery to real servers: Restante and Dovecot by LMTP, Restante and Postfix by SMTP."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from delivery.door import Door, listening
from fetch.destinations.contract import ODD, deliver
from restante.fetch.destinations.smtp import SmtpDestination
from restante.fetch.destinations.smtp_address import parse_smtp_url
from restante.fetch.interfaces import DestinationUnavailableError, MessageRefusedError

LETTERS = [
    b"Return-Path: <bob@example.org>\r\nSubject: %d\r\n\r\nGr\xc3\xbc\xc3\x9fe\r\n.\r\n..b\r\n"
    % number
    for number in range(3)
]


def _destination(url: str, state: Path) -> SmtpDestination:
    return SmtpDestination(url, parse_smtp_url(url), str(state))


def _deliver(destination: SmtpDestination, *letters: bytes) -> None:
    destination.open()
    try:
        deliver(destination, *letters)
    finally:
        destination.close()


@pytest.fixture
def restante(tmp_path: Path) -> Iterator[Door]:
    with listening(tmp_path) as door:
        yield door


def _body(message: bytes) -> bytes:
    """Return what is behind the fields that a delivery adds, with CR LF ends."""
    wire = re.sub(rb"(?<!\r)\n", b"\r\n", message)
    return wire.partition(b"X-Restante-Fetch: ")[2].partition(b"\r\n")[2]


@pytest.mark.parametrize("protocol", ["lmtp", "smtp"])
def test_into_restante(restante: Door, tmp_path: Path, protocol: str) -> None:
    """Restante stores what was sent, octet for octet, in one session."""
    url = f"lmtp:{restante.file}" if protocol == "lmtp" else f"smtp://127.0.0.1:{restante.port}"
    odd = [message for message in ODD if message.endswith(b"\r\n")]
    _deliver(_destination(f"{url}?rcpt=ann@example.com", tmp_path), *LETTERS, *odd)
    stored = [_body(message) for owner, message in restante.store.came]
    without = [re.sub(rb"^Return-Path.*\r\n", b"", message) for message in (*LETTERS, *odd)]
    assert stored == without
    assert {owner for owner, _ in restante.store.came} == {"ann@example.com"}


def test_restante_rejects(restante: Door, tmp_path: Path) -> None:
    """An unknown recipient rejects the message, and the text names it."""
    destination = _destination(f"lmtp:{restante.file}?rcpt=eve@example.com", tmp_path)
    with pytest.raises(MessageRefusedError, match=r"eve@.*550"):
        _deliver(destination, *LETTERS)
    assert restante.store.came == []


def test_nobody_listens(tmp_path: Path) -> None:
    """A socket that is not there is unavailable, and the text says why."""
    destination = _destination(f"lmtp:{tmp_path}/lmtp?rcpt=ann", tmp_path)
    with pytest.raises(DestinationUnavailableError, match=f"{tmp_path}/lmtp: No such file"):
        _deliver(destination, *LETTERS)
