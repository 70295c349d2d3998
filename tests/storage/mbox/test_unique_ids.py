"""Unique-ids stay the same, whatever else changes in the file. rfc1939-s7/unique-id,
rfc1939-s7/unique-id-not-reused.
"""

from __future__ import annotations

import pytest

from restante.storage.mbox import MboxStore
from restante.storage.paths import Layout
from storage.mbox.box import FROM, Box, letter

ONE, TWO, THREE = letter(1), letter(2), letter(3)


@pytest.mark.parametrize(
    "flags",
    [
        b"Status: RO\n",
        b"X-Status: A\nContent-Length: 9\nLines: 1\n",
        b"X-UID: 12   \nX-Keywords: a\n\tb\nX-IMAPbase: 1 2\n",
        b"STATUS : O\nX-Mozilla-Status: 0001\n",
    ],
)
def test_flags_of_mail_programs_do_not_change_them(box: Box, flags: bytes) -> None:
    """Header fields of mail programs do not change the unique-ids."""
    box.write(ONE, TWO)
    before = box.uids()
    box.write(*(text.replace(b"\n\n", b"\n" + flags + b"\n", 1) for text in (ONE, TWO)))
    assert box.uids() == before


def test_earlier_mail_keeps_unique_id(box: Box) -> None:
    """Earlier messages do not change a message's unique-id."""
    box.write(ONE, TWO, THREE)
    before = box.uids()
    box.write(TWO, THREE)
    assert box.uids() == before[1:]


def test_line_ends_keep_unique_ids(box: Box) -> None:
    """Line ends of From-lines, and at the end of the file, do not change unique-ids."""
    box.file.write_bytes(FROM + ONE + FROM + TWO[:-1])
    before = box.uids()
    box.file.write_bytes((FROM + ONE + b"\n").replace(FROM, FROM[:-1] + b"\r\n") + FROM + TWO)
    assert box.uids() == before


def test_other_text_has_another_one(box: Box) -> None:
    """Different messages have different unique-ids."""
    box.write(ONE, ONE.replace(b"1", b"2"), ONE + b"\n\n", b"X" + ONE)
    assert len(set(box.uids())) == 4


def test_equal_copies_have_different_ones_which_last(box: Box) -> None:
    """Equal messages have different unique-ids, which do not change."""
    box.write(ONE, ONE, TWO, ONE)
    first, second, other, third = box.uids()
    assert len({first, second, other, third}) == 4
    box.append(ONE)
    assert box.uids()[:4] == [first, second, other, third]


def test_copy_keeps_unique_id(box: Box) -> None:
    """A copy keeps its unique-id when the one before is removed."""
    box.write(ONE, ONE, TWO, ONE)
    first, second, other, third = box.uids()
    box.remove(0)
    assert box.uids() == [second, other, third]
    assert box.texts() == [ONE, TWO, ONE]
    box.remove(0)
    assert box.uids() == [other, third]
    box.append(ONE)
    assert box.uids()[:2] == [other, third]
    assert box.uids()[2] not in {first, second, third}
    assert box.texts() == [TWO, ONE, ONE]


def test_copy_in_another_process(box: Box) -> None:
    """In another process, too, a copy keeps its unique-id."""
    box.write(ONE, ONE, ONE)
    uids = box.uids()
    box.remove(1)
    box.store = MboxStore(Layout(box.root))
    assert box.uids() == [uids[0], uids[2]]


def with_x_uidl(text: bytes, uid: bytes) -> bytes:
    """Return a message into which another server has written its unique-id."""
    return text.replace(b"\n\n", b"\nX-UIDL: " + uid + b"\nStatus: RO\n\n", 1)


@pytest.fixture
def old(box: Box) -> Box:
    """A box that keeps the unique-ids of another server."""
    box.store = MboxStore(Layout(box.root), x_uidl=True)
    return box


def test_qpopper_unique_ids_stay(old: Box) -> None:
    """Unique-ids of qpopper, which uses all of 0x21 to 0x7E, stay, and other messages get ours."""
    uid = b"!\"#abc~'+9"
    old.write(with_x_uidl(ONE, uid), TWO, with_x_uidl(THREE, b"x" * 70))
    first, second, third = old.uids()
    assert (first, third) == (uid.decode(), "x" * 70)
    old.remove(0)
    assert old.uids() == [second, third]
    old.append(ONE)
    assert old.uids()[:2] == [second, third]
    assert old.texts()[0] == TWO


@pytest.mark.parametrize("name", [b"x-uidl:", b"X-Uidl:", b"X-UIDL :"])
def test_name_of_the_field_in_another_form(old: Box, name: bytes) -> None:
    """The names of fields are the same in small letters: RFC 5322 section 2.2."""
    old.write(with_x_uidl(ONE, b"abc").replace(b"X-UIDL:", name))
    assert old.uids() == ["abc"]


def test_without_the_setting_they_are_not_read(box: Box) -> None:
    """X-UIDL is ignored unless the configuration says otherwise."""
    box.write(with_x_uidl(ONE, b"abc"))
    assert box.uids() != ["abc"]


@pytest.mark.parametrize("bad", [b"", b"a b", b"x" * 71, b"\xe9", b"a\tb", b"a\n b"])
def test_what_is_no_unique_id_is_not_used(old: Box, bad: bytes) -> None:
    """An invalid X-UIDL is not used."""
    old.write(with_x_uidl(ONE, bad), TWO)
    first, _ = old.uids()
    assert first.encode() != bad
    assert " " not in first
    assert len(first) <= 70


def test_sent_unique_id_is_not_shared(old: Box) -> None:
    """Messages never share a unique-id that a sender wrote into them."""
    old.write(with_x_uidl(ONE, b"abc"), with_x_uidl(TWO, b"abc"), THREE)
    first, second, third = old.uids()
    assert first == "abc"
    assert len({first, second, third}) == 3
    old.append(with_x_uidl(ONE, third.encode()))
    assert old.uids()[:3] == [first, second, third]
    assert len(set(old.uids())) == 4


def test_a_line_in_the_body_is_no_field(old: Box) -> None:
    """An X-UIDL line in the body is ignored."""
    old.write(ONE + b"\nX-UIDL: abc\n")
    assert old.uids() != ["abc"]
