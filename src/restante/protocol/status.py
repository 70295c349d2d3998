"""Replies as octets. RFC 1939 section 3, RFC 2449 sections 3 and 8."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from restante.protocol.line_ends import CRLF
from restante.protocol.line_forms import to_wire
from restante.protocol.stuffing import TERMINATOR
from restante.protocol.translations.languages import translate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from restante.protocol.errors import Refusal

OK = b"+OK\r\n"
LINE_LIMIT = 512  # octets of a status line, line end included: RFC 1939 section 3


def ok(text: str = "") -> bytes:
    """Return a positive status line."""
    return _status_line(f"+OK {text}" if text else "+OK")


@functools.lru_cache  # there are few texts and languages
def say(text: str, language: str) -> bytes:
    """Return a positive status line with a text in a language; places in braces stay."""
    return ok(translate(text, language))


def error_reply(refusal: Refusal, translation: Callable[[str], str] = str) -> bytes:
    """Return the negative status line for a refusal, with its response code.

    `translation` puts its text into the client's language.
    """
    code = f"[{refusal.code}] " if refusal.code else ""
    return _status_line(f"-ERR {code}{translation(refusal.text).format(**refusal.values)}")


def multiline_reply(status: bytes, lines: Iterable[str]) -> bytes:
    """Return a multi-line reply: its status line, its lines and the terminator."""
    text = "".join(f"{line}\r\n" for line in lines)
    sent, _ = to_wire(text.encode(), True)  # noqa: FBT003  # its twin in C has no keywords
    return status + sent + TERMINATOR


def _status_line(line: str) -> bytes:
    """Return the line with its end, without control characters and cut to 512 octets.

    A line end in a text would forge a reply, and no longer line may be sent.
    """
    if not line.isprintable():
        line = "".join(c if c.isprintable() else "?" for c in line)
    octets = line.encode(errors="replace")
    if len(octets) + len(CRLF) > LINE_LIMIT:
        octets = octets[: LINE_LIMIT - len(CRLF)].decode(errors="ignore").encode()
    return octets + CRLF
