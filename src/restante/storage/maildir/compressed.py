"""Messages that Dovecot has compressed. Their content shows it, and not the name.

Dovecot's zlib plugin compresses whole files of a Maildir. Their names have the sizes of the plain
message: S= as it would be stored, W= on the wire. No other message begins with these octets.
"""

from __future__ import annotations

import bz2
import errno
import functools
import itertools
import lzma
import zlib
from typing import TYPE_CHECKING, Protocol

from restante.storage.disk_threads import DISK
from restante.storage.errors import StoreError
from restante.storage.fs import as_store_error, chunks, close_quietly
from restante.storage.maildir import filenames

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

MAGIC = 9  # octets at the beginning of a file that show how it is compressed
MAX_PLAIN = 512 * 1024 * 1024  # octets of a message that is compressed
MAX_KEPT = 1024 * 1024  # octets of a message that is decompressed only once
PIECE = 256 * 1024  # octets that are decompressed at once
CONVERT = "convert the Maildir with doveadm, as docs/how-to/migrate.md says"
MAX_STREAMS = 1000  # that follow one another in a file: each costs a copy of the rest
LZMA_MEMORY = 128 * 1024 * 1024  # octets


class UnreadableError(OSError):
    """A message is damaged, or compressed by a program that is not supported."""


class Decompressor(Protocol):
    """The interface that zlib, bz2 and lzma share."""

    @property
    def eof(self) -> bool:
        """Whether the end was found."""

    @property
    def unused_data(self) -> bytes:
        """The octets after the end."""

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        """Return at most this many octets."""


class _Gzip:
    """A decompressor of zlib that keeps its unused input, as those of bz2 and lzma do."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        text: bytes = self._inner.decompress(self._inner.unconsumed_tail + data, max_length)
        return text


_KINDS: tuple[tuple[bytes, str, Callable[[], Decompressor] | None], ...] = (
    (b"\x1f\x8b\x08", "gzip", _Gzip),
    (b"BZh", "bzip2", bz2.BZ2Decompressor),
    (b"\xfd7zXZ\x00", "xz", lambda: lzma.LZMADecompressor(memlimit=LZMA_MEMORY)),
    (b"\x28\xb5\x2f\xfd", "zstd", None),
    (b"Dovecot-L", "lz4", None),
    (b"CRYPTED\x03\x07", "mail_crypt", None),
)
FIRST_OCTETS = frozenset(magic[:1] for magic, _, _ in _KINDS)
_BROKEN = (zlib.error, lzma.LZMAError, OSError, EOFError, MemoryError)


class Compressed:
    """The compression of a message, and how to undo it."""

    def __init__(self, kind: str, new: Callable[[], Decompressor] | None, limit: int) -> None:
        self._kind = kind
        self._new = new
        self._limit = limit

    @classmethod
    def detect(cls, beginning: bytes, octets: int, base: str) -> Compressed | None:
        """Return how a file is compressed, by its first octets; None for a plain message.

        A file of exactly the size in its base name, S=, is not compressed, however it begins.
        """
        if beginning[:1] not in FIRST_OCTETS:
            return None
        stored_size = filenames.stored_size(base)
        if octets == stored_size:
            return None
        for magic, kind, new in _KINDS:
            if beginning.startswith(magic):
                return cls(kind, new, min(MAX_PLAIN, stored_size or MAX_PLAIN))
        return None

    def check(self) -> None:
        """Raise UnreadableError: this compression is not supported."""
        if self._new is None:
            text = f"it is stored with {self._kind}, which is not supported; {CONVERT}"
            raise UnreadableError(errno.ENOTSUP, text)

    def plain(self, stored: Iterable[bytes]) -> Iterator[bytes]:
        """Return the plain message, of the file's octets, in pieces of a bounded size.

        Raises UnreadableError.
        """
        self.check()
        octets = 0
        for piece in self._pieces(stored):
            octets += len(piece)
            if octets > self._limit:
                raise UnreadableError(
                    errno.EFBIG, f"it is stored with {self._kind}, and has more octets than its S="
                )
            yield piece

    def _pieces(self, stored: Iterable[bytes]) -> Iterator[bytes]:
        assert self._new is not None
        inner, streams = self._new(), 1
        for chunk in stored:
            unread = chunk
            while unread or not inner.eof:
                if inner.eof:  # one stream may follow another
                    inner, streams = self._new(), streams + 1
                if streams > MAX_STREAMS:
                    raise self._damaged_error(f"it has over {MAX_STREAMS} streams")
                piece = self._decompress(inner, unread)
                if piece:
                    yield piece
                unread = inner.unused_data if inner.eof else b""
                if not piece and not unread:
                    break
        if not inner.eof:
            raise self._damaged_error("it breaks off")

    def _decompress(self, inner: Decompressor, data: bytes) -> bytes:
        try:
            return inner.decompress(data, PIECE)
        except _BROKEN as error:
            raise self._damaged_error(str(error)) from error

    def _damaged_error(self, why: str) -> UnreadableError:
        return UnreadableError(errno.EBADMSG, f"it is stored with {self._kind}, and damaged: {why}")


class PlainChunks:
    """The plain message of a compressed file, in pieces that a thread decompresses."""

    def __init__(self, file: int, compressed: Compressed, path: str, user: str) -> None:
        self._file = file
        self._path = path
        self._user = user  # threads are shared fairly between users
        self._pieces = compressed.plain(chunks(file))

    def __aiter__(self) -> PlainChunks:
        return self

    async def __anext__(self) -> bytes:
        try:
            with as_store_error("a message cannot be read to its end", self._path):
                next_piece = functools.partial(next, self._pieces, b"")
                piece: bytes = await DISK.run(self._user, next_piece)
        except StoreError:
            self.close()
            raise
        if piece:
            return piece
        await self.aclose()
        raise StopAsyncIteration

    def close(self) -> None:
        """Close the file while no thread reads it."""
        file, self._file = self._file, -1
        if file >= 0:
            close_quietly(file)

    async def aclose(self) -> None:
        """Close the file. Repeated calls are allowed."""
        self.close()


def open_plain(file: int, compressed: Compressed, path: str, user: str) -> bytes | PlainChunks:
    """Return the plain message of an open file, after a test of all of it.

    A long message is decompressed again while it is sent. Raises OSError, UnreadableError: the file
    stays open.
    """
    pieces: list[bytes] = []
    octets = 0
    for piece in compressed.plain(chunks(file)):
        octets += len(piece)
        if octets <= MAX_KEPT:
            pieces.append(piece)
        else:
            pieces.clear()
    if octets > MAX_KEPT:
        return PlainChunks(file, compressed, path, user)
    close_quietly(file)
    return b"".join(pieces)


def plain_chunks(file: int, octets: int, base: str) -> Iterator[bytes]:
    """Return the message in a file, plain, in pieces. Raises OSError, UnreadableError."""
    pieces = chunks(file)
    first = next(pieces, b"")
    compressed = Compressed.detect(first, octets, base)
    stored = itertools.chain((first,), pieces)
    return compressed.plain(stored) if compressed else stored
