"""TLS that breaks in a session is a lost connection: neither port nor handshake was wrong."""

from __future__ import annotations

import contextlib
import os
import ssl
from collections.abc import Callable
from typing import TypeVar

import pytest

from restante.client.greeting import read_greeting
from restante.client.io import ClientIO, Finished, IOSteps, ReadBytes, WriteBytes, advance
from restante.client.options import Options, parse_url
from restante.client.session import ClientSession, secure
from restante.client.tls import ClientTlsLayer, verifying_context
from restante.misbehave.certificates import authority_file, certificates
from restante.misbehave.fault import GOOD
from restante.net.tls_trust import create_verifying_context
from restante.protocol.client.effects import Dialogue, Peek, Send
from restante.protocol.client.operations import MessageEnd, list_, retr, stat
from restante.protocol.errors import (
    ConnectionLostError,
    Phase,
    SecurityError,
    TruncatedReplyError,
)

T = TypeVar("T")

ALERT = b"\x15\x03\x03\x00\x02\x02\x50"  # in clear, as no server sends it within a session
TEXT = b"-ERR internal error\r\n"


class TlsServer:
    """The server's side of TLS, in memory. `replies` are sent one for each read of the client."""

    def __init__(self) -> None:
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = certificates(GOOD).context()
        self._tls = context.wrap_bio(self._in, self._out, server_side=True)
        options = Options(context=create_verifying_context(authority_file()))
        self.session = ClientSession(parse_url("pop3s://ann@localhost"), options)
        self.replies: list[bytes | OSError] = []
        self._io = ClientIO(self.session)
        self._open = False
        self._drive(self._io.start_tls())
        self._tls.do_handshake()
        self._open = True

    def seal(self, octets: bytes) -> bytes:
        """Return octets as they go over the wire."""
        self._tls.write(octets)
        return self._out.read()

    def run(self, dialogue: Dialogue[T], *replies: bytes | OSError) -> T:
        """Carry out a dialogue with these answers on the wire, and then the end of the stream."""
        self.replies = [*replies, b"", b""]
        return self._drive(self._io.run(dialogue))

    def _drive(self, steps: IOSteps[T]) -> T:
        answer: bytes | OSError | None = None
        while not isinstance(effect := advance(steps, answer), Finished):
            answer = b""
            if isinstance(effect, WriteBytes):
                self._in.write(effect.octets)
            elif isinstance(effect, ReadBytes):
                answer = self._next()
        return effect.value

    def _next(self) -> bytes | OSError:
        if self._open:
            return self.replies.pop(0)
        with contextlib.suppress(ssl.SSLWantReadError):
            self._tls.do_handshake()
        return self._out.read()


def flipped(octets: bytes) -> bytes:
    """Return a record whose last octet is wrong."""
    return octets[:-1] + bytes([octets[-1] ^ 1])


BREAKS: dict[str, Callable[[TlsServer], bytes]] = {
    "alert": lambda _: ALERT,
    "text": lambda _: TEXT,
    "record": lambda server: flipped(server.seal(b"+OK 1 100\r\n")),
}


@pytest.mark.parametrize("broken", BREAKS.values(), ids=list(BREAKS))
def test_a_reply(broken: Callable[[TlsServer], bytes]) -> None:
    """The error names the command, and neither the port nor the certificate."""
    server = TlsServer()
    assert server.run(server.session.carry_out(stat()), server.seal(b"+OK 1 100\r\n")).messages == 1
    server.session.peer.phase = Phase.MAILBOX
    with pytest.raises(ConnectionLostError, match=r"TLS .*\(after STAT\)") as raised:
        server.run(server.session.carry_out(stat()), broken(server))
    assert (raised.value.id, raised.value.phase) == ("conn-lost", "mailbox")
    assert raised.value.retryable


def test_the_rest_of_a_reply() -> None:
    """What comes with the octets that break TLS is read, and the reason is not lost."""
    server = TlsServer()
    octets = server.seal(b"+OK 1 1") + flipped(server.seal(b"00\r\n"))
    with pytest.raises(ConnectionLostError, match=r"TLS .*(bad record mac|record layer failure)"):
        server.run(server.session.carry_out(stat()), octets)


def test_after_the_handshake() -> None:
    """A server that rejects the client's last message of the handshake has not shown a greeting."""
    server = TlsServer()
    with pytest.raises(SecurityError) as raised:
        server.run(server.session.carry_out(stat()), TEXT)
    assert raised.value.id == "tls-failed"


def test_reset_after_the_handshake() -> None:
    """A reset in place of the greeting does not come at once: TLS has begun."""
    server = TlsServer()
    with pytest.raises(ConnectionLostError, match="greet-closed: the server reset") as raised:
        server.run(read_greeting(server.session), ConnectionResetError())
    assert raised.value.phase == "greeting"


@pytest.mark.parametrize("broken", [ALERT, TEXT])
def test_within_the_handshake(broken: bytes) -> None:
    """A server that sends its ServerHello has TLS, whatever comes after it."""
    options = Options(context=create_verifying_context(authority_file()))
    layer = ClientTlsLayer(options, "localhost")
    assert not layer.handshake(b"")
    came, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
    came.write(layer.outgoing())
    with contextlib.suppress(ssl.SSLWantReadError):
        certificates(GOOD).context().wrap_bio(came, sent, server_side=True).do_handshake()
    answer = sent.read()
    server_hello = answer[: 5 + int.from_bytes(answer[3:5])]
    with pytest.raises(SecurityError) as raised:
        layer.handshake(server_hello + broken)
    assert raised.value.id == "tls-failed"


ENDS: dict[str, Callable[[TlsServer], bytes | OSError]] = {
    "reset": lambda _: ConnectionResetError(),
    "closed": lambda _: b"",
    **BREAKS,
}


@pytest.mark.parametrize("end", ENDS.values(), ids=list(ENDS))
def test_a_message(end: Callable[[TlsServer], bytes | OSError]) -> None:
    """However the connection ends within a message, the message is truncated."""
    server = TlsServer()

    def read() -> Dialogue[MessageEnd]:
        return (yield from server.session.carry_out(retr(1, 100)))

    with pytest.raises(TruncatedReplyError, match="after 6 octets, before the end of") as raised:
        server.run(read(), server.seal(b"+OK\r\nHello "), end(server))
    assert raised.value.id == "msg-truncated"


def test_a_look_at_what_has_come_reads_once() -> None:
    """A server that sends records of TLS alone cannot hold a look at what has come."""
    server = TlsServer()

    def look() -> Dialogue[bytes]:
        return (yield from Peek(0))

    record = server.seal(b"+OK\r\n")
    assert server.run(look(), record[:9], record[9:]) == b""
    assert len(server.replies) == 3


def test_half_a_record_is_no_silence() -> None:
    """A look for more octets goes on after a part of a record, which has none of the peer's yet."""
    server = TlsServer()
    reply, dot = server.seal(b"+OK no messages\r\n"), server.seal(b".\r\n")
    assert server.run(server.session.carry_out(list_()), reply, dot[:9], dot[9:]) == {}
    assert not server.session.oddities
    assert not server.session.has_unread


def test_authorities_in_a_device() -> None:
    """A device in place of a file of authorities is an error that says so."""
    with pytest.raises(OSError, match="it is a device; name a regular file"):
        verifying_context(os.devnull)


def test_stls_is_tried_without_capabilities() -> None:
    """STLS is tried at another machine without CAPA, though passwords may go in clear text."""
    options = Options(capa=False, insecure_plaintext=True)
    session = ClientSession(parse_url("pop3://ann@mail.example.com"), options)
    assert next(secure(session)) == Send(b"STLS\r\n")
