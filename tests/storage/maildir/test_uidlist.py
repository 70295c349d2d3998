"""Unique-ids of another server stay after a migration: rfc1939-s7/unique-id,
rfc1939-s7/unique-id-not-reused.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restante.storage.errors import StoreError
from restante.storage.maildir import (
    CourierUniqueIds,
    DovecotUniqueIds,
    MaildirStore,
    filenames,
    refresh,
    scan,
    snapshot,
    uidlist,
)
from restante.storage.paths import Layout
from storage.maildir.box import Box, Quick
from storage.maildir.test_snapshot import at_hand, settled

DEFAULT = "%08Xu%08Xv"
HEAD = b"3 V1795574427 N12 G73763c279b4a066ba46c000083ecc375\n"
FIRST, SECOND = "000000016b064a9b", "000000026b064a9b"


def with_list(box: Box, text: bytes, form: str = DEFAULT) -> Path:
    """Give the box a list that has not changed for long, and a store that uses it."""
    file = box.folder / "dovecot-uidlist"
    file.write_bytes(text)
    os.utime(file, (1_000_000_000, 1_000_000_000))
    box.store = MaildirStore(Layout(box.root), DovecotUniqueIds(form), latency=Quick())
    return file


def test_dovecot_list_keeps_unique_ids(box: Box) -> None:
    """Messages in Dovecot's list keep its unique-ids, and others get ours."""
    box.put("cur/1.a,S=18:2,S")
    box.put("new/2.b")
    box.put("new/3.c d")
    box.put("new/4.e")
    with_list(box, HEAD + b"1 W21 :1.a,S=18\n2 :2.b\n11 W21 Gx :3.c d\n")
    assert box.uids() == [FIRST, SECOND, "0000000b6b064a9b", "4.e"]


@pytest.mark.parametrize("form", ["%f", "%g"])
@pytest.mark.parametrize("listed", [True, False])
def test_long_names_stay_unique_ids_as_dovecot_has_them(box: Box, form: str, listed: bool) -> None:
    """Dovecot sends them, though RFC 1939 section 7 allows 70 characters."""
    name = f"1.M1P1.{'x' * 60},S=18,W=21"
    box.put(f"cur/{name}:2,S")
    box.put("new/2.c d")
    with_list(box, HEAD + (f"1 :{name}\n".encode() if listed else b""), form)
    assert box.uids() == [name, filenames.hashed_uid("2.c d")]


def test_a_guid_in_the_list_goes_before_the_name(box: Box) -> None:
    """As a copy by `doveadm backup` has them, for %g; %f is the name that the file has now."""
    box.put("cur/1.a:2,S")
    with_list(box, HEAD + b"1 G0123 W18 :1.a\n", "%g")
    assert box.uids() == ["0123"]
    with_list(box, HEAD + b"1 G0123 W18 :1.a\n", "%f")
    assert box.uids() == ["1.a"]


def test_ambiguous_format(box: Box) -> None:
    """A format that may give two names one unique-id holds for the list alone.

    Else what a message has would depend on which others are there.
    """
    box.put("cur/12.a:2,S")
    box.put("new/12.b")
    with_list(box, HEAD + b"1 :12.a\n", "%2f")
    assert box.uids() == ["12", "12.b"]


def test_stored_unique_id(box: Box) -> None:
    """A stored unique-id wins, and an empty one is the base name."""
    for name in ("1.a", "2.b", "3.c"):
        box.put(f"new/{name}")
    with_list(box, HEAD + b"1 Pold:1 W21 :1.a\n2 P :2.b\n3 W1 :3.c\n")
    assert box.uids() == ["old:1", "2.b", "000000036b064a9b"]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\0" * 100,
        b"3 N12\n1 :1.a\n",
        b"3 V0 N12\n1 :1.a\n",
        b"3 V9999999999 N12\n1 :1.a\n",
        b"1 1795574427 12\n1 1.a\n",
        b"1 V1795574427 N12\n1 :1.a\n",
        b"3" + b" V1" * 100_000 + b" Vx\0:",
        HEAD[:-1],
        HEAD + b"1 :1.a",
        HEAD + b"0 :1.a\n",
        HEAD + b"4294967296 :1.a\n",
        HEAD + b"-1 :1.a\nx :1.a\n\n:1.a\n1 1.a\n1:1.a\n",
        HEAD + b"1 P" + b"x" * 481 + b" :1.a\n",
        HEAD + b"1 P\xff :1.a\n",
    ],
)
def test_damaged_list_is_harmless(box: Box, text: bytes) -> None:
    """Damaged lines give no unique-id, and logins succeed."""
    box.put("new/1.a")
    with_list(box, text)
    assert box.uids() == ["1.a"]


def test_a_damaged_line_spoils_no_other(box: Box) -> None:
    """A damaged line of the list is skipped, and the others are used."""
    box.put("new/1.a")
    box.put("new/2.b")
    with_list(box, HEAD + b"\xff\0garbage\n1 W :1.a\n")
    assert box.uids() == [FIRST, "2.b"]


@pytest.mark.parametrize("what", ["missing", "a link", "a folder", "a pipe", "huge"])
def test_without_a_list_all_unique_ids_are_ours(box: Box, what: str) -> None:
    """If the list is missing, too large or not a file, the unique-ids are Restante's own."""
    box.put("new/1.a")
    file = with_list(box, HEAD + b"1 :1.a\n")
    if what == "huge":
        os.truncate(file, uidlist.MAX_OCTETS + 1)
    else:
        file.rename(box.root / "elsewhere")
    if what == "a link":
        file.symlink_to(box.root / "elsewhere")
    elif what == "a folder":
        file.mkdir()
    elif what == "a pipe":
        os.mkfifo(file)
    assert box.uids() == ["1.a"]


def test_a_name_that_is_anothers_unique_id_is_hashed(box: Box) -> None:
    """Whether the other message is there or not, so that it stays."""
    other = box.put("new/1.a")
    box.put(f"new/{SECOND}")
    with_list(box, HEAD + b"2 :1.a\n")
    assert box.uids() == [filenames.hashed_uid(SECOND), SECOND][::-1]
    other.unlink()
    assert box.uids() == [filenames.hashed_uid(SECOND)]


def test_listed_hash_of_ours(box: Box) -> None:
    """A listed unique-id that looks like a hash of Restante is ignored."""
    box.put("new/1.a")
    box.put("new/2 b")
    with_list(box, HEAD + f"1 P{filenames.hashed_uid('2 b')} :1.a\n".encode())
    assert box.uids() == ["1.a", filenames.hashed_uid("2 b")]


def test_a_unique_id_that_stands_twice_is_given_once(box: Box) -> None:
    """A unique-id that is in the list twice is used once."""
    for name in ("1.a", "2.b"):
        box.put(f"new/{name}")
    with_list(box, HEAD + b"1 Px :1.a\n2 Px :2.b\n")
    assert box.uids() == ["x", "2.b"]


def test_the_last_line_of_a_name_counts(box: Box) -> None:
    """As with Dovecot, when a file was taken away and put back."""
    box.put("new/1.a")
    with_list(box, HEAD + b"1 :1.a\n2 :1.a\n")
    assert box.uids() == [SECOND]


def test_copies_of_a_listed_name_are_told_apart(box: Box) -> None:
    """Two files with one base name have different unique-ids."""
    box.put("new/1.a")
    box.put("cur/1.a:2,S")
    with_list(box, HEAD + b"1 :1.a\n")
    first, second = box.uids()
    assert first == FIRST
    assert second.startswith("1.a~")


def test_unique_ids_stay(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unique-ids stay when flags change, and when other messages come and go."""
    file = box.put("new/1.a")
    box.put("cur/2.b:2,")
    with_list(box, HEAD + b"1 :1.a\n2 :2.b\n")
    aging = settled(box)
    monkeypatch.setattr(refresh, "list_anew", lambda *_: pytest.fail("listed anew"))
    file = file.rename(box.folder / "cur/1.a:2,RS")
    assert box.uids() == [FIRST, SECOND]
    aging.age()
    new = box.put("new/3.c")
    assert box.uids() == [FIRST, SECOND, "3.c"]
    aging.age()
    file.unlink()
    assert box.uids() == [SECOND, "3.c"]
    aging.age()
    new.rename(box.folder / "cur/3.c:2,S")
    assert box.uids() == [SECOND, "3.c"]


def test_a_size_that_was_counted_is_not_counted_again(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change of the maildrop keeps the sizes in the cache."""
    box.put("cur/1.a:2,S")
    with_list(box, HEAD + b"1 :1.a\n")
    sizes = box.sizes()
    before = box.cache.read_bytes()
    box.put("new/2.b")
    assert box.sizes() == sizes * 2
    assert b'"1.a"' in before
    assert b'"1.a"' in box.cache.read_bytes()


def test_a_list_that_changes_is_seen_by_the_next_session(box: Box) -> None:
    """The next session reads a changed list."""
    box.put("new/1.a")
    file = with_list(box, HEAD + b"1 :1.a\n")
    settled(box)
    assert at_hand(box) == [FIRST]
    with file.open("ab") as added:
        added.write(b"2 :1.a\n")
    assert at_hand(box) is None
    assert box.uids() == [SECOND]
    assert at_hand(box) is None, "it changed just now"
    file.unlink()
    assert box.uids() == ["1.a"]


def test_list_changed_within_the_clock_grain(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that changed just now is read again, although its time is the same.

    A clock has a grain.
    """
    box.put("new/1.a")
    file = with_list(box, HEAD + b"1 :1.a\n")
    now = snapshot.FolderChange(1, time.time_ns(), time.time_ns())
    monkeypatch.setattr(snapshot, "change_of", lambda *_: now)
    assert settled(box).box.uids() == [FIRST]
    file.write_bytes(HEAD + b"2 :1.a\n")
    box.put("new/2.b")
    assert box.uids() == [SECOND, "2.b"]


def test_list_changes_during_a_scan(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that changes during a scan gives no unique-id twice."""
    box.put("new/1.a")
    file = with_list(box, HEAD + b"1 :1.a\n")
    settled(box)
    box.put("new/2.b")
    naming = uidlist.uid_function

    def late(form: uidlist.UniqueIds | None, maildrop: int, *_: object) -> Callable[[str], str]:
        file.write_bytes(HEAD + b"1 :2.b\n")
        return naming(form, maildrop)

    monkeypatch.setattr(refresh, "uid_function", late)
    assert box.uids() == ["1.a", FIRST]


def test_a_delivery_by_dovecot_during_a_scan(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list is read after the folders, so that it has each message which they have."""
    box.put("new/1.a")
    file = with_list(box, HEAD + b"1 :1.a\n")
    listing = scan.list_messages

    def late(*found: Any) -> Any:
        box.put("new/2.b")
        file.write_bytes(HEAD + b"1 :1.a\n2 :2.b\n")
        return listing(*found)

    monkeypatch.setattr(refresh, "list_messages", late)
    assert box.uids() == [FIRST, SECOND]


@pytest.mark.parametrize("known", [True, False])
def test_a_list_that_dovecot_writes(
    box: Box, monkeypatch: pytest.MonkeyPatch, *, known: bool
) -> None:
    """A message is in its place before it is in the list, which Dovecot has locked meanwhile."""
    box.put("new/1.a")
    file = with_list(box, HEAD + b"1 :1.a\n")
    lock = box.folder / "dovecot-uidlist.lock"
    if known:
        settled(box)
    box.put("new/2.b")
    lock.touch()

    def finish(_seconds: float) -> None:
        file.write_bytes(HEAD + b"1 :1.a\n2 :2.b\n")
        lock.unlink()

    monkeypatch.setattr(time, "sleep", finish)
    assert box.uids() == [FIRST, SECOND]


@pytest.mark.parametrize(("age", "most"), [(0, 200), (3, 0), (-1e9, 0)])
def test_a_lock_that_stays(
    box: Box, monkeypatch: pytest.MonkeyPatch, age: float, most: int
) -> None:
    """A lock of Dovecot's that was left behind delays no login; another one does for 2 seconds."""
    box.put("new/1.a")
    with_list(box, HEAD)
    lock = box.folder / "dovecot-uidlist.lock"
    lock.touch()
    os.utime(lock, (time.time() - age, time.time() - age))
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    assert box.uids() == ["1.a"]
    assert len(waits) == most


def test_a_lock_delays_no_session_of_listed_messages(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If all messages are in the list, nothing is waited for."""
    box.put("new/1.a")
    with_list(box, HEAD + b"1 :1.a\n")
    (box.folder / "dovecot-uidlist.lock").touch()
    monkeypatch.setattr(time, "sleep", None)
    assert box.uids() == [FIRST]


def test_unreadable_list(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unreadable list is an error, and does not change unique-ids.

    Else clients would download everything again.
    """
    box.put("new/1.a")
    with_list(box, HEAD + b"1 :1.a\n")

    def broken(name: str, folder: int, most: int) -> bytes:
        raise OSError(5, os.strerror(5), name)

    monkeypatch.setattr(uidlist, "read_whole", broken)
    with pytest.raises(StoreError, match="Input/output error"):
        box.uids()


@pytest.mark.parametrize("dry_run", [True, False])
def test_expired_unique_id(box: Box, dry_run: bool) -> None:
    """An expired message is reported with the unique-id that clients know."""
    os.utime(box.put("cur/1.a:2,S"), (1, 1))
    with_list(box, HEAD + b"1 :1.a\n")
    (due,) = asyncio.run(box.store.expire("ann", 30, dry_run=dry_run))
    assert due.uid == FIRST


def test_list_costs_one_call(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list costs one system call if it is used, else none."""
    box.put("new/1.a")
    looked: list[str] = []
    lstat = os.lstat

    def count(name: str, *, dir_fd: int) -> os.stat_result:
        looked.append(name)
        return lstat(name, dir_fd=dir_fd)

    settled(box)
    monkeypatch.setattr(os, "lstat", count)
    assert at_hand(box) == ["1.a"]
    assert looked == ["restante.sizes", "new", "cur"]
    with_list(box, HEAD + b"1 :1.a\n")
    box.uids()
    looked.clear()
    assert at_hand(box) == [FIRST]
    assert looked == ["restante.sizes", "dovecot-uidlist", "new", "cur"]


COURIER = [
    (b"/3 9 1795\n", b"1.a:2,S 21 7:1795:0\n", "UID7-1795"),
    (b"/2 9 1795\n", b"1.a 21 7:1795\n", "UID7-1795"),
    (b"/2 9 1795\n", b"1.a 21 7:0\n", "UID7"),
    (b"/2 9\n", b"1.a 21 7:0\n", "UID7"),
    (b"/1 9\n", b"1.a 21 7\n", "UID7"),
    (b"/3 9 1795\n", b"1.a 21 0:0:0\n", "1.a"),
    (b"", b"1.a 21\n", "1.a"),
]


@pytest.mark.parametrize(("head", "line", "uid"), COURIER)
def test_messages_in_couriers_list_keep_couriers(
    box: Box, head: bytes, line: bytes, uid: str
) -> None:
    """Messages in Courier's list keep their unique-ids."""
    box.put("cur/1.a:2,RS")
    box.put("new/2.b")
    (box.folder / "courierpop3dsizelist").write_bytes(head + line)
    box.store = MaildirStore(Layout(box.root), CourierUniqueIds())
    assert box.uids() == [uid, "2.b"]


@pytest.mark.parametrize(
    "text",
    [
        b"/4 9 1795\n1.a 21 7:1795:0\n",
        b"/x\n1.a 21\n",
        b"/3 9 1795\n1.a 21\n",
        b"/3 9 1795\n1.a 21 7:1795:0",
        b"/3 9 1795\n1.a x 7:1795:0\n\n \n  \n 1 2:3\n\xff\0\n",
        b"/3 9 1795\n1.a 21 " + b"7" * 30 + b":1:0\n",
        b"\0" * 1000,
        b"",
    ],
)
def test_damaged_courier_list(box: Box, text: bytes) -> None:
    """Damaged lines of Courier's list give no unique-id."""
    box.put("new/1.a")
    (box.folder / "courierpop3dsizelist").write_bytes(text)
    box.store = MaildirStore(Layout(box.root), CourierUniqueIds())
    assert box.uids() == ["1.a"]


def test_names_are_quoted_as_the_oldest_courier_did(box: Box) -> None:
    """Names are quoted as in Courier's oldest format."""
    box.put("new/1.a b+'\"\u00e9")
    (box.folder / "courierpop3dsizelist").write_bytes("1.a b+'\"\u00e9 21\n".encode())
    box.store = MaildirStore(Layout(box.root), CourierUniqueIds())
    assert box.uids() == ["1.a+20b+2B+27+22+C3+A9"]


LINES = st.lists(
    st.one_of(
        st.binary(max_size=40),
        st.builds(
            lambda uid, field, name: b"%d %s :%s" % (uid, field, name),
            st.integers(0, 2**33),
            st.sampled_from([b"W21", b"Px", b"P", b"Pa b", b"P\x7f", b"P1.a", b"Psha256-x", b"Gx"]),
            st.sampled_from([b"1.a", b"2.b", b"3.c d", b"x", b"\xff", FIRST.encode()]),
        ),
    ),
    max_size=12,
)


@given(
    st.sampled_from([DEFAULT, "%f", "%g", "%Mg", "%1u", "%v%f"]),
    st.one_of(st.just(HEAD), st.binary(max_size=60)),
    LINES,
    st.binary(max_size=10),
)
def test_any_list(form: str, head: bytes, lines: list[bytes], rest: bytes) -> None:
    """Whatever a list holds, unique-ids are valid and differ."""
    others = DovecotUniqueIds(form)
    known = uidlist.read(others, head + b"\n".join(lines) + rest)
    unique_id = uidlist.uids_from_list(others, known)
    keys = {*known, "1.a", "2.b", "3.c d", "x", os.fsdecode(b"\xff"), FIRST}
    found = [unique_id(key) for key in keys]
    assert all(filenames.is_sendable_uid(uid) for uid in found)
    assert len(set(found)) == len(keys)
    assert all(known[key] == unique_id(key) for key in known)


def test_fields_of_a_line_are_bounded() -> None:
    """A line of a damaged list with thousands of fields costs no more than one with 32."""
    unique_ids = DovecotUniqueIds("%08Xu%08Xv")
    few, many = b"7 " + b"X " * 31 + b"Psaved :1.a", b"8 " + b"X " * 32 + b"Psaved :2.b"
    listed = dict(unique_ids.parse_list(b"3 V10 N9\n%b\n%b\n" % (few, many)))
    assert listed == {"1.a": "saved", "2.b": "000000080000000a"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (HEAD + b"1 :1.a\n" + b"\n" * 10, "more than 10 lines"),
        (HEAD + b"1 :1.a\n" + b"x" * 1024**2, "longer than 1 MiB"),
        (b"2 V1\n1 :1.a\n2 :2.a\n", "damaged, or of another kind"),
        (None, "not a regular file"),
        (HEAD, ""),
        (HEAD + b"1 :1.a\n", ""),
    ],
)
def test_unused_list(
    box: Box, monkeypatch: pytest.MonkeyPatch, text: bytes | None, problem: str
) -> None:
    """A list that is not used is reported once, however often it is read; others are not."""
    monkeypatch.setattr(uidlist, "MAX_LINES", 10)
    monkeypatch.setattr(uidlist, "MAX_OCTETS", 1024**2)
    box.put("cur/1.a:2,S")
    if text is None:
        (box.folder / "dovecot-uidlist").mkdir()
    else:
        (box.folder / "dovecot-uidlist").write_bytes(text)
    found: list[tuple[Path, str]] = []
    box.store = MaildirStore(
        Layout(box.root),
        DovecotUniqueIds(DEFAULT),
        on_unused_list=lambda folder, why: found.append((folder, why)),
    )
    before = box.uids()
    assert (before == [FIRST]) is (text == HEAD + b"1 :1.a\n")
    box.put("new/2.a")
    assert box.uids()[:1] == before
    if not problem:
        assert found == []
        return
    ((folder, said),) = found
    assert folder == box.folder
    assert said.startswith("dovecot-uidlist is not used: it ")
    assert problem in said
