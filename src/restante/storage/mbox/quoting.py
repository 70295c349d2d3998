"""Lines of a message that begin with "From ", and what is done so that they begin none.

Written here is mboxrd: ">" goes before every line of any number of ">" and "From ", so that it can
be taken off again. Others write ">" before "From " alone (mboxo) or nothing (mboxcl2). What is in
the file does not say which. So one ">" is taken off each such line, unless the message also has a
line that begins with "From ": then the writer does not quote, and it stays as it is.
"""

from __future__ import annotations

import re

_LINE = re.compile(rb"^(>*From )", re.MULTILINE)
_QUOTED = re.compile(rb"^>(>*From )", re.MULTILINE)
_MAYBE = re.compile(rb"(>*)((?:F(?:r(?:om?)?)?)?)")


def quote_from_lines(message: bytes) -> bytes:
    """Return a message as it is written into an mbox."""
    return _LINE.sub(rb">\1", message) if b"From " in message else message


class Quoting:
    """Quotes a message that comes in chunks. Feed all of them, then finish."""

    __slots__ = ("_at_line_start", "_held")

    def __init__(self) -> None:
        self._at_line_start = True  # or after ">" at a line's start, which makes no difference
        self._held = b""  # the beginning of a possible "From "

    def feed(self, chunk: bytes) -> bytes:
        """Return the next octets with quotes."""
        chunk = self._held + chunk
        start = chunk.rfind(b"\n") + 1
        line_start = _MAYBE.fullmatch(chunk, start) if start or self._at_line_start else None
        self._held = line_start[2] if line_start else b""
        octets = chunk.removesuffix(self._held)
        if b"From " in octets:
            prefix = b"" if self._at_line_start else b"-"  # then no line begins here
            octets = quote_from_lines(prefix + octets).removeprefix(prefix)
        if chunk:
            self._at_line_start = line_start is not None
        return octets

    def finish(self) -> bytes:
        """Return what was held back: no more comes."""
        return self._held


class Unquoting:
    """Removes quotes from a message that comes in chunks. Feed all of them, then finish.

    `quotes` is how many were taken off, `plain` whether a line had none.
    """

    __slots__ = ("_at_line_start", "_held", "plain", "quotes")

    def __init__(self) -> None:
        self.quotes = 0
        self.plain = False
        self._at_line_start = True
        self._held = b""  # the beginning of a line that may be unquoted: one ">", a part of "From"

    def feed(self, chunk: bytes) -> bytes:
        """Return the next octets without quotes."""
        chunk = self._held + chunk
        octets, self._held = self._split(chunk)
        if b"From " in octets:
            octets = self._unquote(octets)
        elif octets:
            self._at_line_start = octets.endswith(b"\n")
        if self._held:
            self._at_line_start = True
        return octets

    def finish(self) -> bytes:
        """Return what was held back: no more comes."""
        return self._held

    def _split(self, chunk: bytes) -> tuple[bytes, bytes]:
        """Return what can be decided, and what depends on the octets to come.

        Of a run of ">" only one is held back: without any one of them, the rest is the same.
        """
        start = chunk.rfind(b"\n") + 1
        if start == len(chunk) or (not start and not self._at_line_start):
            return chunk, b""
        line_start = _MAYBE.fullmatch(chunk, start)
        if line_start is None:
            return chunk, b""
        run, word = line_start.groups()
        return chunk[:start] + run[1:], run[:1] + word

    def _unquote(self, octets: bytes) -> bytes:
        prefix = b"" if self._at_line_start else b"-"  # then no line begins here
        self._at_line_start = octets.endswith(b"\n")
        octets = prefix + octets
        self.plain = self.plain or octets.startswith(b"From ") or b"\nFrom " in octets
        if b">From " in octets:  # regular expressions are slow, and it is rare
            octets, count = _QUOTED.subn(rb"\1", octets)
            self.quotes += count
        return octets[len(prefix) :]
