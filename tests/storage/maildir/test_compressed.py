"""Messages that Dovecot's zlib plugin has compressed go out plain, and one alone is refused."""

from __future__ import annotations

import asyncio
import bz2
import contextlib
import errno
import gzip
import lzma
import os
import resource
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from restante.protocol.stuffing import size_on_wire
from restante.storage.errors import StoreError
from restante.storage.maildir import compressed
from storage.contract import opened, whole
from storage.maildir.box import Box
from support.dovecot import dovecot
from support.other_user import public_folder

MESSAGE = b"Subject: a\n\nhello\n" + b"line\n" * 20
LONG = b"Subject: b\n\n" + os.urandom(400_000).hex().encode() + b"\n"
KINDS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
}
SAVED = {"gz": True, "bz2": True, "zstd": False, "lz4": False}


def read(box: Box, index: int) -> bytes:
    """Return a message as RETR sends it, but for line ends."""

    async def run() -> bytes:
        maildrop = await box.store.acquire("ann", 0)
        try:
            return await whole(maildrop, index)
        finally:
            maildrop.release()

    return asyncio.run(run())


async def pieces(box: Box, lines: int | None = None) -> AsyncGenerator[bytes, None]:
    """Yield a compressed message's pieces as they are made."""
    maildrop = await box.store.acquire("ann", 0)
    try:
        body = await opened(maildrop, 0, lines)
        assert not isinstance(body, bytes)
        try:
            async for piece in body:
                yield piece
        finally:
            await body.aclose()
    finally:
        maildrop.release()


def test_plain_in_a_thread(box: Box) -> None:
    """The event loop never makes a message plain, even if the disk is fast."""
    box.put("cur/1.a:2,S", gzip.compress(MESSAGE))

    async def run() -> None:
        maildrop = await box.store.acquire("ann", 0)
        try:
            opening = maildrop.read(0, None)
            assert isinstance(opening, Awaitable)
            assert await opening == MESSAGE
        finally:
            maildrop.release()

    asyncio.run(run())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("message", [MESSAGE, LONG, b"Subject: e\n\n"])
@pytest.mark.parametrize("fields", [True, False])
def test_a_compressed_message_is_read_and_counted_plain(
    box: Box, kind: str, message: bytes, *, fields: bool
) -> None:
    """The name says nothing of it, and may have the plain sizes or none."""
    size = size_on_wire([message])
    named = f",S={len(message)},W={size}" if fields else ""
    box.put(f"cur/1.a{named}:2,S", KINDS[kind](message))
    box.put("new/2.b", MESSAGE)
    assert box.sizes() == [size, size_on_wire([MESSAGE])]
    assert [read(box, 0), read(box, 1)] == [message, MESSAGE]


def test_one_stream_behind_another_is_one_message(box: Box) -> None:
    """Two gzip streams in one file are one message."""
    box.put("new/1.a", gzip.compress(MESSAGE[:20]) + gzip.compress(MESSAGE[20:]))
    assert read(box, 0) == MESSAGE


@pytest.mark.parametrize("message", [b"", b"a"])
@pytest.mark.parametrize("kind", KINDS)
def test_many_streams_refused(kind: str, message: bytes) -> None:
    """Each stream costs a copy of the rest, so a file of many does not occupy a thread."""
    stored = KINDS[kind](message) * (compressed.MAX_STREAMS + 1)
    found = compressed.Compressed.detect(stored, len(stored), "1.a")
    assert found is not None
    with pytest.raises(compressed.UnreadableError, match="over 1000 streams"):
        list(found.plain([stored]))


def test_disk_error_is_no_damage() -> None:
    """A disk that does not give up the rest of a file does not make it a damaged message."""
    stored = gzip.compress(LONG)
    found = compressed.Compressed.detect(stored, len(stored), "1.a")
    assert found is not None

    def pieces_of_bad_disk() -> Iterator[bytes]:
        yield stored[:1000]
        raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(OSError, match="Input/output error") as caught:
        list(found.plain(pieces_of_bad_disk()))
    assert caught.value.errno == errno.EIO


def test_top_reads_no_more_than_it_needs(box: Box) -> None:
    """TOP decompresses only the lines that it sends."""
    message = b"Subject: t\n\n" + b"line\n" * 800_000
    box.put(f"new/1.a,S={len(message)}", gzip.compress(message))

    async def run() -> bytes:
        async with contextlib.aclosing(pieces(box, 3)) as made:
            return await anext(made)

    assert asyncio.run(run()) == message[: compressed.PIECE]


def test_plain_message_like_gzip(box: Box) -> None:
    """A plain message that begins like a compressed one is sent as it is, if its name has the
    file's size.
    """
    message = b"\x1f\x8b\x08 no gzip\n"
    box.put(f"new/1.a,S={len(message)}", message)
    assert read(box, 0) == message


@pytest.mark.parametrize(
    ("stored", "why"),
    [
        (gzip.compress(MESSAGE)[:-9], "damaged"),
        (b"\x1f\x8b\x08 no gzip at all", "damaged"),
        (b"BZh9 no bzip2 at all", "damaged"),
        (gzip.compress(MESSAGE) + b"garbage", "damaged"),
        (gzip.compress(MESSAGE + b"more than S= says"), "more octets"),
        (b"CRYPTED\x03\x07" + b"x" * 300, "mail_crypt"),
        (b"\x28\xb5\x2f\xfd" + b"x" * 300, "zstd"),
        (b"Dovecot-LZ4\x0d\x2a\x9b\xc5" + b"x" * 300, "lz4"),
    ],
)
def test_a_message_that_cannot_be_read_is_refused_alone(box: Box, stored: bytes, why: str) -> None:
    """A message that cannot be decompressed is an error, and the others are read."""
    box.put(f"new/1.a,S={len(MESSAGE)}", stored)
    box.put("new/2.b", MESSAGE)
    assert len(box.sizes()) == 2
    with pytest.raises(StoreError, match=why) as refused:
        read(box, 0)
    assert refused.value.path is not None
    assert refused.value.path.endswith(f"new/1.a,S={len(MESSAGE)}")
    assert read(box, 1) == MESSAGE


def test_a_bomb_is_cut_off_and_takes_no_memory(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """A decompression bomb is an error and needs little memory."""
    monkeypatch.setattr(compressed, "MAX_PLAIN", 64 * 1024 * 1024)
    bomb = gzip.compress(bytes(96 * 1024 * 1024), 9)
    box.put(f"new/1.a,S={10**17}", bomb)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert box.sizes() == [size_on_wire([bomb])]
    made = 0

    async def run() -> None:
        nonlocal made
        async for piece in pieces(box):
            made += len(piece)

    with pytest.raises(StoreError, match="more octets"):
        asyncio.run(run())
    assert made == 0
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 * 1024


@pytest.fixture
def folder() -> Iterator[Path]:
    with public_folder() as folder:
        yield folder


@pytest.mark.parametrize("kind", SAVED)
def test_what_dovecot_has_compressed_is_read_or_refused(box: Box, folder: Path, kind: str) -> None:
    """A message that Dovecot compressed is read, or rejected by the name of its method."""
    plugin = f"mail_plugins = zlib\nplugin {{\n zlib_save = {kind}\n}}\n"
    with dovecot(folder, "secret", plugin) as running:
        running.doveadm("save", "-u", "ann", stdin=MESSAGE)
    (stored,) = (folder / "mail/ann").glob("*/*,S=*")
    assert stored.stat().st_size < len(MESSAGE)
    box.put(f"cur/{stored.name}", stored.read_bytes())
    assert box.sizes() == [size_on_wire([MESSAGE])]
    if SAVED[kind]:
        assert read(box, 0) == MESSAGE
    else:
        with pytest.raises(StoreError, match=kind):
            read(box, 0)
