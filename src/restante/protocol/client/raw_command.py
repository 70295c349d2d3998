"""A command typed by a person: any line, and its reply as it comes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from restante.protocol.client.connection import LISTING_LIMIT, ServerPeer
from restante.protocol.client.effects import (
    EXTRA_LINES,
    MORE_EXTRA_LINES,
    MessageChunk,
    Peek,
)
from restante.protocol.client.hidden_secrets import HIDDEN
from restante.protocol.client.operations import next_piece
from restante.protocol.client.pipeline import Operation
from restante.protocol.errors import LocalError
from restante.protocol.text import decode_text
from restante.protocol.unstuffing import DotUnstuffer

if TYPE_CHECKING:
    from restante.protocol.client.effects import Dialogue
    from restante.protocol.client.replies import Status

_MULTI_LINE = {"CAPA", "TOP", "RETR"}
_MULTI_LINE_WITHOUT_ARGUMENT = {"LIST", "UIDL", "LANG", "AUTH"}
_ONE_LINE = {"APOP", "DELE", "LANG", "NOOP", "PASS", "QUIT", "RSET", "STAT", "USER", "UTF8"}
MESSAGE_NUMBER = re.compile(r"[0-9]{1,18}")
_BEFORE_SECRET = re.compile(r"\s*(?:PASS\s|(?:APOP|AUTH)\s+\S+\s)\s*", re.IGNORECASE)
_NOT_LINES = {
    "STLS": "TLS is begun by the program itself",
    "AUTH": "log in with USER and PASS",
}


def raw_command(line: str, limit: int = LISTING_LIMIT) -> Operation[Status]:
    """Return the operation of a line as it was typed: its reply's lines come as chunks, unstuffed.

    The status that it returns is without secrets, and may be -ERR. At most `limit` octets are read.
    Octets that are not UTF-8 are surrogates in the line, as PEP 383 has them. Raises LocalError:
    the line has a line end or another surrogate, or the server's reply would not be lines.
    """
    words = line.split()
    verb = words[0].upper() if words else ""
    if any(c in line for c in "\r\n\0"):
        raise LocalError("a line end or NUL in a command: nothing was sent")
    if verb in _NOT_LINES and (verb != "AUTH" or len(words) > 1):
        raise LocalError(f"{verb} cannot be typed here: {_NOT_LINES[verb]}")

    secret = line[secret_start(line) :].rstrip()

    def read(peer: ServerPeer) -> Dialogue[Status]:
        peer.secrets.add(_as_repeated(secret))
        status = peer.redact_status((yield from peer.read_status()))
        if not status.ok or not is_multi_line(line):
            if status.ok and verb not in _ONE_LINE:
                yield from _read_extra_lines(peer, limit)
            return status
        body = DotUnstuffer(bare_lf=peer.bare_lf)
        while not body.ended:
            piece = yield from next_piece(peer, body, limit)
            if piece:
                yield from MessageChunk(piece)
        peer.multiline_command = peer.command
        peer.add_trace("<", f"({body.lines} lines)")
        return status

    return Operation(_encode(line), read, _encode(redact_command(line)), phase=None)


def _encode(line: str) -> bytes:
    """Return the octets of a line, with its end. Raises LocalError."""
    try:
        return line.encode(errors="surrogateescape") + b"\r\n"
    except UnicodeEncodeError:
        raise LocalError("half a character in a command: nothing was sent") from None


def _read_extra_lines(peer: ServerPeer, limit: int) -> Dialogue[None]:
    """Give what comes after a reply that should have one line, as it comes.

    Some servers answer LIST with a number by a list, and commands of their own by many lines.
    """
    octets, seconds, tail = 0, EXTRA_LINES, b""
    while octets <= limit:
        piece = bytes(peer.unread) or (yield from Peek(seconds))
        peer.unread.clear()
        if not piece:
            return
        octets, seconds = octets + len(piece), MORE_EXTRA_LINES
        tail = (tail + piece)[-len(b"\n.\r\n") :]
        yield from MessageChunk(piece)
        if tail.endswith((b"\n.\r\n", b"\n.\n")):
            return


def is_multi_line(line: str) -> bool:
    """Return whether a command's +OK goes on until a line with a dot."""
    words = line.upper().split()
    return bool(words) and (
        words[0] in _MULTI_LINE or (words[0] in _MULTI_LINE_WITHOUT_ARGUMENT and len(words) == 1)
    )


def secret_start(line: str) -> int:
    """Return the index at which the secret of a command begins, its length without one."""
    match = _BEFORE_SECRET.match(line)
    return match.end() if match else len(line)


def redact_command(line: str) -> str:
    """Return a line as it may be shown, kept in a history or traced."""
    start = secret_start(line)
    return line[:start] + HIDDEN if start < len(line) else line


def _as_repeated(text: str) -> str:
    """Return a text as it would be in the reply of a server that repeats it."""
    return decode_text(text.encode(errors="surrogateescape"))
