"""A command typed by a person: any line, and its reply as it comes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.protocol.client import piece_of
from restante.protocol.dialogue import LISTING_LIMIT, Chunk, Operation, Peer, Status
from restante.protocol.errors import LocalError
from restante.protocol.received import ReceivedBody

if TYPE_CHECKING:
    from restante.protocol.dialogue import Dialogue

_ALWAYS = {"CAPA", "TOP", "RETR"}
_WITHOUT_ARGUMENT = {"LIST", "UIDL", "LANG", "AUTH"}
_SECRET = {"PASS": 1, "APOP": 2, "AUTH": 2}  # from which word on nothing is shown
_CHANGES_THE_WIRE = {
    "STLS": "TLS is begun by the program itself",
    "AUTH": "log in with USER and PASS",
}


def by_hand(line: str, most: int = LISTING_LIMIT) -> Operation[Status]:
    """Return the operation of a line as it was typed: its reply's lines come as chunks, unstuffed.

    Its status may be shown, and an -ERR is returned, not raised. At most `most` octets are taken.
    Raises LocalError: a line end within it, or a command after which the other end no longer speaks
    in lines.
    """
    words = line.split()
    verb = words[0].upper() if words else ""
    if any(c in line for c in "\r\n\0"):
        raise LocalError("a line end or NUL in a command: nothing was sent")
    if verb in _CHANGES_THE_WIRE and (verb != "AUTH" or len(words) > 1):
        raise LocalError(f"{verb} cannot be typed here: {_CHANGES_THE_WIRE[verb]}")

    def read(peer: Peer) -> Dialogue[Status]:
        status = peer.shown((yield from peer.status()))
        if not status.ok or not is_multi_line(line):
            return status
        body = ReceivedBody(bare_lf=peer.bare_lf)
        while not body.ended:
            piece = yield from piece_of(peer, body, most)
            if piece:
                yield Chunk(piece)
        peer.note("<", f"({body.lines} lines)")
        return status

    return Operation(line.encode() + b"\r\n", read, shown(line).encode() + b"\r\n")


def is_multi_line(line: str) -> bool:
    """Return whether a command's +OK goes on until a line with a dot."""
    words = line.upper().split()
    return bool(words) and (
        words[0] in _ALWAYS or (words[0] in _WITHOUT_ARGUMENT and len(words) == 1)
    )


def shown(line: str) -> str:
    """Return a line as it may be shown, kept in a history or traced."""
    words = line.split()
    public = _SECRET.get(words[0].upper()) if words else None
    if public is None or len(words) <= public:
        return line
    return " ".join([*words[:public], "***"])
