"""The work that a client can cause in the server, for each octet that it sends."""

from __future__ import annotations

import base64
import sys
from types import FrameType
from typing import Any, Self

from fuzz.server_side import CHANNELS, QUICK, Watched
from fuzz.target import Target, choices
from restante.protocol.server.sasl import SERVER_MECHANISMS
from restante.protocol.server.settings import ProtocolSettings

CALLS = 15_000  # for one command, whatever it says: 255 octets of a name are prepared character by
CALLS_PER_OCTET = 5  # character, and those of each response are decoded
MOST = 47 * 1024  # octets of a response before base64
FORMS = (
    b"%b", b"\0%b\0secret", b"%b\0ann\0secret", b"\0ann\0%b", b"%b " + b"0" * 32,
    b"n,,n=%b,r=nonce", b"n,a=%b,n=ann,r=nonce", b"n,,n=ann,r=%b",
    b"n,a=%b,\x01auth=Bearer t\x01\x01", b"user=%b\x01auth=Bearer t\x01\x01",
    b"user=ann\x01%b\x01auth=Bearer t\x01\x01", b"user=ann\x01auth=Bearer %b\x01\x01",
)  # fmt: skip


class Calls:
    """Counts calls of functions: the same work is the same number on every machine."""

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> Self:
        sys.setprofile(self._note)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _note(self, _frame: FrameType, event: str, _argument: Any) -> None:
        if event in {"call", "c_call"}:
            self.count += 1


def cost(octets: bytes) -> None:
    """A mechanism, its form, and how often the rest is said, by four octets; then that rest."""
    (place, form, way, times), said = choices(octets, 4)
    name = list(SERVER_MECHANISMS)[place % len(SERVER_MECHANISMS)].encode()
    text = said * min(times * times + 1, MOST // max(1, len(said)))
    response = base64.b64encode(FORMS[form % len(FORMS)] % text)
    watched = Watched(ProtocolSettings(), CHANNELS[2])
    commands = {
        0: [b"AUTH " + name + b" " + response],
        1: [b"AUTH " + name, response],
        2: [b"AUTH LOGIN", response, response],
        3: [b"USER " + text, b"PASS " + text],
        4: [b"APOP " + text + b" " + b"0" * 32],
    }[way % 5]
    for command in commands:
        sent = command.replace(b"\n", b" ")[: 2 * MOST] + b"\r\n"
        with Calls() as calls:
            watched.send(sent)
        most = CALLS + CALLS_PER_OCTET * len(sent)
        assert calls.count <= most, f"{calls.count} calls for {len(sent)} octets"
        if watched.talk.over:
            break


TARGETS = {
    "cost": Target(
        "An octet that a client sends before login costs the server a bounded number of calls.",
        cost,
        tuple(limit for limit in QUICK if not str(limit[1]).endswith(("LIMIT", "MAX_DISCARD"))),
        10_000,
    ),
}
