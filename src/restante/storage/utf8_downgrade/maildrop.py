"""Maildrops for clients that did not ask for UTF-8 in headers. RFC 6856 section 2.

A message whose header is not ASCII is refused, or gets a stand-in for its header: see
`ascii_header`. The body goes out as it is stored.
"""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, TypeAlias, cast

from restante.protocol.message_header import find_body
from restante.protocol.stuffing import size_on_wire
from restante.storage.errors import Utf8Error
from restante.storage.interfaces import CanBeLost
from restante.storage.removals import DatesRemovals
from restante.storage.utf8_downgrade.ascii_header import encode_ascii

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence

    from restante.protocol.server.maildrop import MessageList
    from restante.protocol.server.needs import Body, Chunks
    from restante.storage.interfaces import LockedMaildrop

LONGEST_HEADER = 1024 * 1024  # octets; a longer header in UTF-8 is rejected
QUICK = 16 * 1024  # octets of a header that take no thread of their own
MAX_REMEMBERED = 100_000  # messages
MAX_OCTETS = 16 * 1024 * 1024  # of all stand-ins that are remembered

DowngradedHeader: TypeAlias = tuple[int, bytes] | None
"""How many octets of a message a stand-in replaces, and the stand-in; None for ASCII."""

NONE_FITS: Final = (0, b"")
"""In place of a stand-in, where the header is too long for one."""

UNREAD: Final = (-1, b"")
"""In place of a stand-in, where the message could not be read when the maildrop was opened."""


class DowngradeCache:
    """The stand-ins of messages, each found once and kept for as long as its size is the same.

    A message's octets never change, but for what mail programs write into headers in an mbox.
    """

    def __init__(self, most_octets: int = MAX_OCTETS) -> None:
        """Create a cache of headers with a limit of octets in total."""
        self._most_octets = most_octets
        self._cached: OrderedDict[tuple[str, str, int], DowngradedHeader] = OrderedDict()
        self.octets = 0  # of their headers

    async def find(self, maildrop: LockedMaildrop, owner: str) -> dict[int, tuple[int, bytes]]:
        """Return the stand-ins by index, for messages that need one.

        A message that cannot be read, or that vanished, is UNREAD and hinders no other.
        """
        by_index = {}
        for index, uid in enumerate(maildrop.contents.uids):
            key = owner, uid, maildrop.contents.sizes[index]
            if key not in self._cached:
                try:
                    downgraded = await _find(await _header(maildrop, index))
                except Exception:  # noqa: BLE001  # RETR meets the same error, and reports it
                    by_index[index] = UNREAD
                    continue
                self._cache(key, downgraded)
            else:
                downgraded = self._cached[key]
            if downgraded is not None:
                by_index[index] = downgraded
        return by_index

    def __len__(self) -> int:
        return len(self._cached)

    def _cache(self, key: tuple[str, str, int], downgraded: DowngradedHeader) -> None:
        """Keep a stand-in; those found longest ago are forgotten first."""
        if key in self._cached:  # another session of the user found it meanwhile
            return
        self._cached[key] = downgraded
        self.octets += _octets_of(downgraded)
        while len(self._cached) > MAX_REMEMBERED or self.octets > self._most_octets:
            _, oldest = self._cached.popitem(last=False)
            self.octets -= _octets_of(oldest)


def _octets_of(downgraded: DowngradedHeader) -> int:
    return len(downgraded[1]) if downgraded else 0


class DowngradedMaildrop:
    """A maildrop in which the headers of some messages have stand-ins, or are refused."""

    def __init__(
        self, inner: LockedMaildrop, by_index: Mapping[int, tuple[int, bytes]], *, refuse: bool
    ) -> None:
        self._inner = inner
        self._by_index = by_index
        self._refuse = refuse
        self._refused = frozenset(i for i, each in by_index.items() if self._is_refused(each))
        sizes = list(inner.contents.sizes)
        for index, downgraded in by_index.items():
            if index not in self._refused and downgraded != UNREAD:
                octets, header = downgraded
                sizes[index] += size_on_wire([header]) - octets
        self.contents: MessageList = dataclasses.replace(
            inner.contents, sizes=tuple(sizes), utf8_only=self._refused
        )

    @property
    def lost(self) -> bool:
        """Whether the session no longer holds the maildrop."""
        return isinstance(self._inner, CanBeLost) and self._inner.lost

    def read(self, index: int, lines: int | None = None) -> Body | Awaitable[Body]:
        """Return a message, with its stand-in. Raises Utf8Error, StoreError."""
        if index not in self._by_index:
            return self._inner.read(index, lines)
        if index in self._refused:
            raise Utf8Error("the header is in UTF-8")
        return self._read(index, lines)

    def _is_refused(self, downgraded: DowngradedHeader) -> bool:
        if downgraded is None or downgraded == UNREAD:
            return False
        return self._refuse or downgraded == NONE_FITS

    async def _read(self, index: int, lines: int | None) -> Body:
        downgraded: DowngradedHeader = self._by_index[index]
        if downgraded == UNREAD:
            downgraded = await _find(await _header(self._inner, index))
            if self._is_refused(downgraded):
                raise Utf8Error("the header is in UTF-8")
        body = self._inner.read(index, lines)
        stored = await body if inspect.isawaitable(body) else body
        if downgraded is None:
            return stored
        _, header = downgraded
        if isinstance(stored, bytes):
            return header + stored[_header_length(stored) :]
        return _Replaced(stored, header)

    async def remove(self, indexes: Sequence[int]) -> None:
        """Remove messages for good, as the store does."""
        await self._inner.remove(indexes)

    @property
    def arrived(self) -> Mapping[int, float]:
        """When removed messages came, by index, in seconds since 1970, if that is known."""
        return self._inner.arrived if isinstance(self._inner, DatesRemovals) else {}

    async def correct_sizes(self, sizes: Mapping[int, int]) -> None:
        """Take note of sizes; those of stand-ins say nothing about what is stored."""
        await self._inner.correct_sizes(
            {i: size for i, size in sizes.items() if i not in self._by_index}
        )

    def release(self) -> None:
        """Give the lock back."""
        self._inner.release()


class _Replaced:
    """A message in chunks whose header has a stand-in."""

    def __init__(self, stored: Chunks, header: bytes) -> None:
        self._stored = stored
        self._header = header

    async def __aiter__(self) -> AsyncIterator[bytes]:
        beginning: bytes | None = b""
        async for chunk in self._stored:
            if beginning is None:
                yield chunk
                continue
            beginning += chunk
            body = find_body(beginning)
            if body >= 0:
                yield self._header + beginning[body:]
                beginning = None
        if beginning is not None:
            yield self._header

    async def aclose(self) -> None:
        """Let go of the message."""
        await self._stored.aclose()


def downgrade(header: bytes) -> DowngradedHeader:
    """Return the stand-in for a header, with the octets on the wire of what it replaces."""
    if header.isascii():
        return None
    if len(header) > LONGEST_HEADER:
        return NONE_FITS
    return size_on_wire([header]), encode_ascii(header)


async def _find(header: bytes) -> DowngradedHeader:
    """Do the same, and let others have their turn."""
    if len(header) > QUICK and not header.isascii():
        return await asyncio.to_thread(downgrade, header)
    await asyncio.sleep(0)
    return downgrade(header)


async def _header(maildrop: LockedMaildrop, index: int) -> bytes:
    """Return a message's header with its empty line, as it is stored."""
    body = maildrop.read(index, 0)
    stored = await body if inspect.isawaitable(body) else body
    if isinstance(stored, bytes):
        return stored[: _header_length(stored)]
    beginning = b""
    try:
        async for chunk in cast("AsyncIterator[bytes]", stored):
            beginning += chunk
            if find_body(beginning) >= 0 or len(beginning) > LONGEST_HEADER:
                break
    finally:
        await stored.aclose()
    return beginning[: _header_length(beginning)]


def _header_length(stored: bytes) -> int:
    """Return the octets up to the end of the first empty line, or all without one."""
    body = find_body(stored)
    return body if body >= 0 else len(stored)
