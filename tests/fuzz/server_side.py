"""The server's session and its mechanisms, told anything by a client."""

from __future__ import annotations

import base64
import inspect
import itertools
from typing import Any

from fuzz.target import Target, choices, cut
from restante.client.credentials import Credentials
from restante.client.mechanisms import CLIENT_MECHANISMS as SPOKEN
from restante.protocol import lines
from restante.protocol.client.sasl import Responder
from restante.protocol.errors import Refusal, ResponseCode
from restante.protocol.server import sasl_exchange, serve
from restante.protocol.server.needs import (
    Authenticate,
    CommitDeletions,
    LockMaildrop,
    Need,
    OpenMessage,
    StartScram,
)
from restante.protocol.server.sasl import SERVER_MECHANISMS
from restante.protocol.server.settings import AuthOffer, ConnectionSecurity, ProtocolSettings
from support.world import Talk, World

LIMIT = 600  # octets of a line, where 65,536 are allowed
ENDLESS = 900  # octets without a line end that end a session
LONGEST_REPLY = 510  # octets of a line, without its end: RFC 1939 section 3

OFFER = AuthOffer(mechanisms=frozenset(SERVER_MECHANISMS))
BINDING = ("tls-unique", b"what only this connection has")
CHANNELS = (
    ConnectionSecurity(can_start_tls=True),
    ConnectionSecurity(can_start_tls=True, clear_text=False),
    ConnectionSecurity(tls=True, certified=True, bindings=frozenset({"tls-unique"})),
)
MAIL = (b"Subject: a\n\n.\none\r\n..two\nthree", b"", b"no header end")
MAY_FAIL = (Authenticate, StartScram, LockMaildrop, OpenMessage, CommitDeletions)
RIGHT = b"!"  # a response that stands for what an honest client would say


class Watched:
    """A session in memory of which every reply, every removal and what it keeps are looked at.

    The need number `fault`, counted from 1, is refused.
    """

    def __init__(
        self,
        settings: ProtocolSettings,
        channel: ConnectionSecurity,
        fault: int = 0,
        piece: int = 0,
    ) -> None:
        self.world = World(bindings=dict([BINDING]))
        self.world.add("ann", "secret", *MAIL)
        self._fault = fault
        self._needs = itertools.count(1)
        self._removed: list[int] = []
        self.said = b""
        self.talk = Talk(
            self.world, settings, self._on_need, piece=piece, offer=OFFER, channel=channel
        )
        self.send(b"")

    def send(self, octets: bytes) -> bytes:
        said = self.talk.send(octets)
        assert self.talk.over or len(self.talk.lines) <= LIMIT
        self.said += said
        return said

    def finish(self) -> None:
        """Hang up, and look at all of it."""
        self.talk.hang_up()
        assert not self.world.locked
        kept = [text for index, text in enumerate(MAIL) if index not in self._removed]
        assert list(self.world.mail["ann"].values()) == kept
        assert self.said.startswith(b"+OK POP3 server ready.")
        assert self.said.endswith(b"\r\n")
        lines = self.said.split(b"\r\n")
        assert all(b"\n" not in line for line in lines)
        assert all(len(line) <= LONGEST_REPLY or line.startswith(b"+ ") for line in lines)

    def _on_need(self, need: Need[Any]) -> None:
        if isinstance(need, MAY_FAIL) and next(self._needs) == self._fault:
            raise Refusal("The disk is on fire.", ResponseCode.SYS_TEMP)
        if isinstance(need, LockMaildrop) and need.identity.name not in self.world.mail:
            raise Refusal("No such maildrop.", ResponseCode.SYS_PERM)
        if isinstance(need, CommitDeletions):
            assert not self._removed, "QUIT comes once"
            self._removed += need.indexes


def session(octets: bytes) -> None:
    """Settings and pieces by the first three octets, then what the client says."""
    (flags, piece, fault), said = choices(octets, 3)
    settings = ProtocolSettings(
        apop=bool(flags & 4), strict_line_ends=bool(flags & 8), greeting="POP3 server ready."
    )
    watched = Watched(settings, CHANNELS[flags % 3], fault, piece=piece % 5)
    for part in cut(said, piece):
        if watched.talk.over:
            break
        watched.send(part)
    watched.finish()


def mechanism(octets: bytes) -> None:
    """A mechanism and its channel by two octets, then responses with LF between them."""
    (place, flags), rest = choices(octets, 2)
    name = list(SERVER_MECHANISMS)[place % len(SERVER_MECHANISMS)]
    watched = Watched(ProtocolSettings(), CHANNELS[2 if flags & 1 else 0])
    honest = _honest(name)
    responses = rest.split(b"\n")
    first = b""
    if flags & 2:
        first = b" " + (base64.b64encode(_response(responses.pop(0), honest, None)) or b"=")
    heard = watched.send(b"AUTH " + name.encode() + first + b"\r\n")
    for response in responses:
        if not heard.startswith(b"+ "):
            break
        challenge = base64.b64decode(heard[2:])
        said = _response(response, honest, challenge)
        heard = watched.send(base64.b64encode(said) + b"\r\n")
        assert heard, "a response gets an answer"
    watched.finish()


def _honest(name: str) -> Responder:
    password = "token of ann" if "OAUTH" in name else "secret"
    return SPOKEN[name](Credentials("ann", password, "mail.example.com", 995, BINDING))


def _response(written: bytes, honest: Responder, challenge: bytes | None) -> bytes:
    """Return a response as written, or the right one where it is asked for."""
    if written != RIGHT:
        return written
    try:
        if inspect.getgeneratorstate(honest) != inspect.GEN_CREATED:
            return honest.send(challenge or b"") or b""
        said = next(honest)
        return honest.send(challenge or b"") or b"" if said is None else said
    except (StopIteration, ValueError):
        return b""


QUICK = (
    (sasl_exchange, "RESPONSE_LIMIT", LIMIT),
    (serve, "AUTH_LIMIT", LIMIT),
    (lines, "MAX_DISCARD", ENDLESS),
)

TARGETS = {
    "session": Target(
        "Whatever a client says, the session replies or ends: no exception, no line beyond 512 "
        "octets, no mail removed but by QUIT, no lock left, no more kept than a line.",
        session,
        QUICK,
        50_000,
    ),
    "mechanism": Target(
        "Whatever responses a client gives to a mechanism, it is logged in or hears -ERR.",
        mechanism,
        QUICK,
    ),
}
