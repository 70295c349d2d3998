"""Names, unique-ids and order: rfc1939-s7/unique-id."""

from __future__ import annotations

import asyncio
import os

import pytest

from restante.storage.maildir import filenames
from storage.maildir.box import Box


@pytest.mark.parametrize(
    "moved",
    ["cur/1.a,S=1", "cur/1.a,S=1:2,", "cur/1.a,S=1:2,S", "cur/1.a,S=1:2,FRS", "new/1.a,S=1"],
)
def test_unique_id_survives_moves(box: Box, moved: str) -> None:
    """known-bug/unique-id-collision: it does not depend on the cache, which is made anew."""
    box.put("new/0.first")
    file = box.put("new/1.a,S=1")
    before = box.uids()
    file.rename(box.folder / moved)
    box.cache.unlink()
    assert box.uids() == before == ["0.first", "1.a,S=1"]


def test_a_unique_id_stays_when_others_go(box: Box) -> None:
    """Unique-ids do not change when other messages are removed."""
    files = [box.put(f"new/{number}.x") for number in range(4)]
    before = box.uids()
    files[1].unlink()
    files[0].unlink()
    assert box.uids() == before[2:]


@pytest.mark.parametrize(
    "name",
    [
        "x" * 70,
        "1.M2P3.host,S=1,W=2",
        "!~",
        "1.23",
        "12.3",
    ],
)
def test_a_base_name_that_fits_is_the_unique_id(name: str) -> None:
    """known-bug/unique-id-collision: nothing is joined, so nothing runs together."""
    assert filenames.unique_id(name) == name


@pytest.mark.parametrize(
    "name",
    ["x" * 71, "with space", "tab\t", "é", os.fsdecode(b"\xff\xfe"), "line\nend", "\x7f", ""],
)
def test_any_other_base_name_is_hashed_into_one(name: str) -> None:
    """A base name that cannot be a unique-id is hashed into one."""
    uid = filenames.unique_id(name)
    assert uid != name
    assert len(uid) <= 70
    assert uid.isascii()
    assert uid.isprintable()
    assert " " not in uid
    assert uid == filenames.unique_id(name) != filenames.unique_id(name + "x")


@pytest.mark.parametrize(
    "name", [b"\xff\xfe", b"with space", b"line\nend", b"x" * 200, b"\xc3\xa9"]
)
def test_a_message_with_an_odd_name_is_a_message(box: Box, name: bytes) -> None:
    """A message with an unusual file name is read and keeps its unique-id."""
    path = os.fsencode(box.folder / "new") + b"/" + name
    with open(path, "wb") as file:
        file.write(b"Subject: odd\n\n")
    assert box.texts() == [b"Subject: odd\n\n"]
    assert box.sizes() == [16]
    before = box.uids()
    os.rename(path, os.fsencode(box.folder / "cur") + b"/" + name + b":2,S")
    assert box.uids() == before


def test_message_order(box: Box) -> None:
    """policy/order: messages are numbered by the time in the name, then by name."""
    for name in ("new/100.b", "cur/99.z:2,S", "new/100.a", "cur/1000.a", "new/nodigits"):
        box.put(name)
    assert box.uids() == ["nodigits", "99.z", "100.a", "100.b", "1000.a"]


def test_copies_stay_distinct(box: Box) -> None:
    """rfc1939-s7/unique-id-not-reused: copies under one base name stay distinct."""
    box.put("new/1.a", b"first\n")
    box.put("cur/1.a:2,S", b"second\n")
    box.put("cur/1.a:2,F", b"third\n")
    before = box.uids()
    assert len(set(before)) == 3
    assert sorted(box.texts()) == [b"first\n", b"second\n", b"third\n"]
    (box.folder / "cur/1.a:2,F").rename(box.folder / "cur/1.a:2,FR")
    assert box.uids() == before


@pytest.mark.parametrize("octets", [200, 249, 255])
def test_copies_with_long_names_stay(box: Box, octets: int) -> None:
    """The copies of a removed message keep their unique-ids if their names leave no room."""
    base = "1." + "é" * (octets // 2 - 1) + "n" * (octets % 2)
    for place in ("new", "cur"):
        box.put(f"{place}/{base}", place.encode())

    async def remove() -> list[str]:
        maildrop = await box.store.acquire("ann", 0)
        uids = maildrop.contents.uids
        (place,) = (index for index, uid in enumerate(uids) if uid == filenames.unique_id(base))
        await maildrop.remove([place])
        maildrop.release()
        return [uid for uid in uids if uid != uids[place]]

    remaining = asyncio.run(remove())
    assert len(remaining) == 1
    assert box.uids() == remaining


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("1.a,W=12", 12),
        ("1.a,S=10,W=12", 12),
        ("1.a,W=12,S=10", 12),
        ("1.a,S=10", None),
        ("1.a,W=", None),
        ("1.a,W=x", None),
        ("1.a,W=-1", None),
        ("1.a,W=12x", None),
        ("1.aW=12", None),
        ("1.a,W=" + "9" * 40, None),
    ],
)
def test_the_field_w_is_the_size_on_the_wire(name: str, size: int | None) -> None:
    """policy/w-size."""
    assert filenames.wire_size(name) == size
