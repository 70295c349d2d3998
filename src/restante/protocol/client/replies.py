"""Status lines, and the noise around them, as servers send them."""

from __future__ import annotations

import re
from typing import NamedTuple

from restante.protocol.text import decode_text

_NOISE = re.compile(
    rb"(?:\xef(?:\xbb(?:\xbf|\Z)|\Z)|\xff(?:[\xfb-\xfe].?|[\xf0-\xfa]|\Z)|[\0\t\n\r ])*", re.DOTALL
)
"""Octets around replies: a byte order mark, telnet's negotiations, blanks, line ends."""

_STATUS = re.compile(rb"(\+OK|-ERR)(?:[ \t]+(?:\[([A-Za-z0-9/_.-]+)\] ?)?(.*)|)", re.DOTALL)
_LIKE_A_STATUS = re.compile(
    rb"(\+OK|-ERR)(?![A-Za-z0-9])[ \t.,:;!-]*(?:\[([A-Za-z0-9/_.-]+)\][ \t:,]*)?(.*)",
    re.DOTALL | re.IGNORECASE,
)


class Status(NamedTuple):
    """A status line: RFC 1939 section 3, with its response code by RFC 2449 section 8.

    Attributes:
        ok: whether the line is +OK.
        code: the response code in upper case, or "".
        text: the server's words, which may hold a secret; `ServerPeer.redact_status` hides it.
        odd: whether the line differs from the form of RFC 1939.
    """

    ok: bool
    code: str
    text: str
    odd: bool = False

    @property
    def line(self) -> str:
        """The line in its regular form, without its line end."""
        code = f" [{self.code}]" if self.code else ""
        text = f" {self.text}" if self.text else ""
        return f"{'+OK' if self.ok else '-ERR'}{code}{text}"


def parse_status(line: bytes) -> Status | None:
    """Return what a status line says, None if it is not one.

    Lower case, a comma or a colon after the indicator, and noise before it are accepted.
    """
    line = line.rstrip(b"\r\n")
    match, odd = _STATUS.fullmatch(line), False
    if match is None:
        match, odd = _LIKE_A_STATUS.fullmatch(strip_noise(line)), True
    if match is None:
        return None
    code = (match[2] or b"").decode("ascii").upper()
    return Status(match[1].upper() == b"+OK", code, decode_text(match[3] or b"").strip(), odd)


def strip_noise(octets: bytes) -> bytes:
    """Return octets without the noise that some servers send before a reply."""
    return _NOISE.sub(b"", octets, count=1)
