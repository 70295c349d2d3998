"""Maildrops for clients that did not ask for UTF-8 in headers. RFC 6856 section 2.2.

A message whose header is not ASCII is refused, or gets a stand-in for its header, in which texts
are encoded words (RFC 2047) and addresses that cannot be written in ASCII are taken out (RFC 6858).
The body goes out as it is stored.
"""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
import re
from collections import OrderedDict
from email.errors import HeaderParseError
from email.header import Header
from email.utils import getaddresses
from typing import TYPE_CHECKING, TypeAlias, cast

from restante.protocol.body import size_on_wire
from restante.storage.api import Utf8Error

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence

    from restante.protocol.maildrop import Contents
    from restante.protocol.needs import Body, Chunks
    from restante.storage.api import Maildrop

LONGEST_HEADER = 1024 * 1024  # octets; what is longer goes out as it is stored
MOST_REMEMBERED = 100_000  # messages

StandIn: TypeAlias = tuple[int, bytes] | None
"""How many octets of a message a stand-in takes the place of, and the stand-in; None for ASCII."""

_ADDRESSES = frozenset({b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc"})
_HEADER_END = re.compile(rb"\r?\n\r?\n")
_FIELD = re.compile(rb"[^\n]*\n?(?:[ \t][^\n]*\n?)*")


class StandIns:
    """The stand-ins of messages, each found once and kept for as long as its size is the same.

    A message's octets never change, but for what mail programs write into headers in an mbox.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str, int], StandIn] = OrderedDict()

    async def of(self, maildrop: Maildrop, owner: str) -> dict[int, tuple[int, bytes]]:
        """Return the stand-ins by index, for messages that need one. Raises StoreError."""
        found = {}
        for index, uid in enumerate(maildrop.contents.uids):
            key = owner, uid, maildrop.contents.sizes[index]
            if key not in self._known:
                await asyncio.sleep(0)  # there may be many: others shall not wait for them all
                self._known[key] = stand_in(await _header(maildrop, index))
                if len(self._known) > MOST_REMEMBERED:
                    self._known.popitem(last=False)
            known = self._known[key]
            if known is not None:
                found[index] = known
        return found


class AsciiMaildrop:
    """A maildrop in which the headers of some messages have stand-ins, or are refused."""

    def __init__(
        self, inner: Maildrop, found: Mapping[int, tuple[int, bytes]], *, refuse: bool
    ) -> None:
        self._inner = inner
        self._found = found
        self._refuse = refuse
        self.contents: Contents = inner.contents
        if not refuse:
            sizes = list(inner.contents.sizes)
            for index, (octets, header) in found.items():
                sizes[index] += size_on_wire([header]) - octets
            self.contents = dataclasses.replace(inner.contents, sizes=tuple(sizes))
        else:
            self.contents = dataclasses.replace(inner.contents, utf8_only=frozenset(found))

    def read(self, index: int, lines: int | None = None) -> Body | Awaitable[Body]:
        """Return a message, with its stand-in. Raises Utf8Error, StoreError."""
        if index not in self._found:
            return self._inner.read(index, lines)
        if self._refuse:
            raise Utf8Error("the header is in UTF-8")
        return self._read(index, lines)

    async def _read(self, index: int, lines: int | None) -> Body:
        body = self._inner.read(index, lines)
        stored = await body if inspect.isawaitable(body) else body
        _, header = self._found[index]
        if isinstance(stored, bytes):
            return header + stored[_header_length(stored) :]
        return _Replaced(stored, header)

    async def remove(self, indexes: Sequence[int]) -> None:
        """Remove messages for good, as the store does."""
        await self._inner.remove(indexes)

    async def correct(self, sizes: Mapping[int, int]) -> None:
        """Take note of sizes; those of stand-ins say nothing about what is stored."""
        await self._inner.correct({i: size for i, size in sizes.items() if i not in self._found})

    def release(self) -> None:
        """Give the lock back."""
        self._inner.release()


class _Replaced:
    """A message in chunks whose header has a stand-in."""

    def __init__(self, stored: Chunks, header: bytes) -> None:
        self._stored = stored
        self._header = header

    async def __aiter__(self) -> AsyncIterator[bytes]:
        seen: bytes | None = b""
        async for chunk in self._stored:
            if seen is None:
                yield chunk
                continue
            seen += chunk
            if _HEADER_END.search(seen) or seen.startswith((b"\n", b"\r\n")):
                yield self._header + seen[_header_length(seen) :]
                seen = None
        if seen is not None:
            yield self._header

    async def aclose(self) -> None:
        """Let go of the message."""
        await self._stored.aclose()


def stand_in(header: bytes) -> StandIn:
    """Return what takes the place of a header, with the octets on the wire of what it replaces."""
    if header.isascii() or len(header) > LONGEST_HEADER:
        return None
    fields = [field for field in _FIELD.findall(header) if field]
    written = b"".join(field if field.isascii() else _ascii(field) for field in fields)
    return size_on_wire([header]), written


def _ascii(field: bytes) -> bytes:
    name, colon, value = field.partition(b":")
    if not colon or not name.isascii():
        return b""
    text = " ".join(value.decode(errors="replace").split())
    if name.lower() in _ADDRESSES:
        written = ", ".join(_address(*pair) for pair in getaddresses([text]))
        return name + b": " + written.encode() + b"\r\n"
    return name + b": " + _words(text, len(name) + 2).encode() + b"\r\n"


def _address(display: str, address: str) -> str:
    if not address.isascii():
        return f"{_words(display or 'Internationalized address', 0)} removed:;".replace("\r\n", "")
    return f"{_words(display, 0)} <{address}>" if display else address


def _words(text: str, taken: int) -> str:
    if text.isascii():
        return text
    try:
        return Header(text, "utf-8", header_name="x" * taken).encode(linesep="\r\n")
    except (HeaderParseError, UnicodeError):
        return "(not shown)"


async def _header(maildrop: Maildrop, index: int) -> bytes:
    """Return a message's header with its empty line, as it is stored."""
    body = maildrop.read(index, 0)
    stored = await body if inspect.isawaitable(body) else body
    if isinstance(stored, bytes):
        return stored[: _header_length(stored)]
    seen = b""
    try:
        async for chunk in cast("AsyncIterator[bytes]", stored):
            seen += chunk
            if _HEADER_END.search(seen) or len(seen) > LONGEST_HEADER:
                break
    finally:
        await stored.aclose()
    return seen[: _header_length(seen)]


def _header_length(stored: bytes) -> int:
    """Return the octets up to the end of the first empty line, or all where there is none."""
    if stored.startswith((b"\n", b"\r\n")):
        return stored.index(b"\n") + 1
    end = _HEADER_END.search(stored)
    return end.end() if end else len(stored)
