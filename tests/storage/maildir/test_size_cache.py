"""Sizes are exact, and the cache is never believed against its message: known-bug/last-line-end."""

from __future__ import annotations

import asyncio
import gzip
import os
import zlib
from pathlib import Path

import pytest

from restante.protocol.stuffing import size_on_wire
from restante.storage import fs
from restante.storage.errors import StoreError
from restante.storage.maildir import size_cache
from storage.maildir.box import Box

MIXED = b"Subject: a\r\n\nunix\ndos\r\nno end"
ON_WIRE = len(b"Subject: a\r\n\r\nunix\r\ndos\r\nno end\r\n")


def test_a_size_that_was_counted_is_not_counted_again(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message's size is computed once."""
    box.put("new/1.a", MIXED)
    box.put("cur/2.b,S=5:2,S", MIXED)
    assert box.sizes() == [ON_WIRE, ON_WIRE]
    monkeypatch.setattr(size_cache, "size_on_wire", pytest.fail)
    assert box.sizes() == [ON_WIRE, ON_WIRE]


def test_the_field_w_saves_all_counting(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """policy/w-size."""
    box.put(f"new/1.a,S=29,W={ON_WIRE}", MIXED)
    monkeypatch.setattr(size_cache, "size_on_wire", pytest.fail)
    assert box.sizes() == [ON_WIRE]
    assert not box.cache.exists()


def test_the_field_s_is_never_the_size_on_the_wire(box: Box) -> None:
    """policy/w-size."""
    box.put("new/1.a,S=5", MIXED)
    assert box.sizes() == [ON_WIRE]


def test_wrong_w_is_corrected(box: Box) -> None:
    """policy/w-size, implied/stable-session: a wrong field W= is corrected in the next session."""
    box.put("new/1.a,W=7", MIXED)

    async def session() -> list[int]:
        maildrop = await box.store.acquire("ann", 0)
        listed = list(maildrop.contents.sizes)
        await maildrop.correct_sizes({0: ON_WIRE})
        assert list(maildrop.contents.sizes) == listed
        maildrop.release()
        return listed

    assert asyncio.run(session()) == [7]
    assert box.sizes() == [ON_WIRE]
    (box.folder / "new/1.a,W=7").rename(box.folder / "cur/1.a,W=7:2,S")
    assert box.sizes() == [ON_WIRE]


def test_a_message_that_changed_is_counted_again(box: Box) -> None:
    """The size of a changed message is computed again."""
    file = box.put("new/1.a", MIXED)
    assert box.sizes() == [ON_WIRE]
    file.write_bytes(b"shorter\n")
    os.utime(file, ns=(1, 1))
    box.restart()
    assert box.sizes() == [9]
    file.write_bytes(b"short\n\n\n")  # as long as before
    os.utime(file, ns=(2, 2))
    box.restart()
    assert box.sizes() == [11]


def test_garbage_cache_is_rebuilt(box: Box) -> None:
    """A cache of garbage with the right checksum is rebuilt."""
    box.put("new/1.a", MIXED)
    box.sizes()
    good = box.cache.read_bytes()
    for text in (b"", b"[]", b'{"1.a":[-1,0,0]}', b'{"1.a":1}', b'{"\xcd":[1,0,0]}'):
        box.cache.write_bytes(b"restante sizes 1 %08x\n" % zlib.crc32(text) + text)
        assert box.sizes() == [ON_WIRE], text
        assert box.cache.read_bytes() == good


def test_a_cache_cut_at_any_place_is_made_anew(box: Box) -> None:
    """A cache that is cut at any octet is rebuilt."""
    box.put("new/1.a", MIXED)
    box.put("new/2.b", b"")
    box.sizes()
    good = box.cache.read_bytes()
    for end in range(len(good)):
        box.cache.write_bytes(good[:end])
        assert box.sizes() == [ON_WIRE, 0], end
        assert box.cache.read_bytes() == good


@pytest.mark.parametrize("octet", [0, 5, 20, 30, -1])
def test_a_cache_with_one_wrong_octet_is_made_anew(box: Box, octet: int) -> None:
    """A cache with one wrong octet is rebuilt."""
    box.put("new/1.a", MIXED)
    box.sizes()
    good = bytearray(box.cache.read_bytes())
    good[octet] ^= 1
    box.cache.write_bytes(good)
    assert box.sizes() == [ON_WIRE]


@pytest.mark.parametrize(
    "text",
    [b"[]", b"{}", b'{"1.a":[-5,29,1]}', b'{"1.a":["x",1,1]}', b'{"1.a":5}', b"null", b"\xff", b""],
)
def test_malformed_cache_is_rebuilt(box: Box, text: bytes) -> None:
    """A malformed cache is rebuilt, even if its checksum is right."""
    box.put("new/1.a", MIXED)
    box.cache.write_bytes(size_cache.head_of(text) + b"\n" + text)
    assert box.sizes() == [ON_WIRE]


def test_a_cache_forgets_messages_that_are_gone(box: Box) -> None:
    """The cache forgets messages that are gone."""
    file = box.put("new/1.unlikely-name")
    box.put("new/2.b")
    box.sizes()
    file.unlink()
    box.sizes()
    box.put("new/3.c")
    box.sizes()
    assert b"unlikely" not in box.cache.read_bytes()


def test_cache_link_not_followed(box: Box, tmp_path: Path) -> None:
    """A link in place of the cache is not followed."""
    outside = tmp_path / "outside"
    outside.write_text("precious")
    box.cache.symlink_to(outside)
    (box.folder / "restante.sizes.new").symlink_to(outside)
    box.put("new/1.a", MIXED)
    assert box.sizes() == [ON_WIRE]
    assert outside.read_text() == "precious"


def test_folder_in_place_of_cache(box: Box) -> None:
    """A folder in place of the cache costs only time."""
    box.cache.mkdir()
    box.put("new/1.a", MIXED)
    assert box.sizes() == box.sizes() == [ON_WIRE]


def test_a_full_disk_costs_only_time(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the cache cannot be written, the sizes are still right."""
    box.put("new/1.a", MIXED)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "rename", full)
    assert box.sizes() == box.sizes() == [ON_WIRE]


def test_a_message_that_cannot_be_read_is_still_listed(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message that cannot be read is still listed."""
    box.put("new/1.a", MIXED)
    box.put("new/2.b", MIXED)
    real = fs.open_file

    def forbidden(name: str, folder: int) -> tuple[int, os.stat_result]:
        if name == "1.a":
            raise PermissionError(13, "Permission denied")
        return real(name, folder)

    monkeypatch.setattr(size_cache, "open_file", forbidden)
    assert len(box.uids()) == 2
    assert box.sizes()[1] == ON_WIRE


class Ticking:
    """A clock on which each piece of a message takes a number of seconds."""

    def __init__(self, seconds: float) -> None:
        self._now = 0.0
        self._seconds = seconds

    def __call__(self) -> float:
        self._now += self._seconds
        return self._now


@pytest.fixture
def bombs(box: Box) -> list[int]:
    """Put in ten messages of some pieces each that are compressed; return their sizes."""
    message = b"Subject: a\n\n" + b"line\n" * 200_000
    for number in range(10):
        box.put(f"new/{number}.a", gzip.compress(message))
    return [size_on_wire([message])] * 10


def left_by(box: Box, sizes: list[int]) -> int:
    """Log in, and return how many messages are left to be measured; without any all are right."""
    error = StoreError("")
    try:
        assert box.sizes() == sizes
    except StoreError as raised:
        error = raised
    if not error.text:
        return 0
    assert not error.permanent
    assert error.path == str(box.folder)
    return int(error.text.split()[0])


def test_many_that_take_long(box: Box, bombs: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """A login counts for its time; the next one goes on, until all is counted."""
    monkeypatch.setattr(size_cache, "clock", Ticking(5.0))
    lefts: list[int] = []
    while not lefts or lefts[-1]:
        left = left_by(box, bombs)
        lefts.append(left)
    assert lefts == sorted(set(lefts), reverse=True)
    assert 2 < len(lefts) < len(bombs)
    monkeypatch.setattr(size_cache, "size_on_wire", pytest.fail)
    assert box.sizes() == bombs


def test_one_that_takes_too_long(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that takes all the time by itself has the size of its file, and is served."""
    box.put("new/1.a", MIXED)
    monkeypatch.setattr(size_cache, "clock", Ticking(size_cache.SECONDS))
    assert box.sizes() == [len(MIXED)]
    assert box.sizes() == [len(MIXED)]
    assert box.texts() == [MIXED]


def test_counts_that_cannot_be_kept(
    box: Box, bombs: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """If sizes cannot be cached, the sizes of files are used, so that users can log in."""
    box.cache.mkdir()
    monkeypatch.setattr(size_cache, "clock", Ticking(5.0))
    sizes = box.sizes()
    assert len(sizes) == len(bombs)
    assert sizes[0] == bombs[0]
    assert sizes[-1] == (box.folder / "new" / "9.a").stat().st_size
