"""The scanner finds the messages of an mbox, whichever program wrote it."""

from __future__ import annotations

import os
import time
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protocol import reference
from restante.storage.errors import StoreError
from restante.storage.mbox import from_line
from storage.mbox.box import FROM, Box, letter

ONE, TWO = letter(1), letter(2)


@pytest.mark.parametrize(
    "line",
    [
        b"From ann@example.com Tue Nov 24 22:00:46 2026",
        b"From ann@example.com  Tue Nov 24 22:00:46 2026",
        b"From - Tue Nov 24 22:00:46 2026",
        b"From Tue Nov 24 22:00:46 2026",
        b'From "ann b"@example.com Tue Nov  4 22:00:46 2026',
        b"From ann Tue Nov 24 22:00 2026",
        b"From ann Tue Nov 24 22:00:46 CET 2026",
        b"From ann Tue Nov 24 22:00:46 2026 +0100",
        b"From ann Tue Nov 24 22:00:46 2026 remote from host",
    ],
)
def test_a_line_with_a_date_is_a_from_line(line: bytes) -> None:
    """A From-line with a date is recognized in every usual form."""
    assert from_line.length(line + b"\n") == len(line) + 1
    assert from_line.length(line + b"\r\nX: y\n") == len(line) + 2
    assert from_line.length(line) == len(line)


@pytest.mark.parametrize(
    "line",
    [
        b"From here to there",
        b">From ann@example.com Tue Nov 24 22:00:46 2026",
        b"From: ann@example.com Tue Nov 24 22:00:46 2026",
        b"From ann Tue Nov 24 22:00:46 2026 we have had no mail",
        b"From ann " + b"x" * 2000 + b" Tue Nov 24 22:00:46 2026",
        b" From ann Tue Nov 24 22:00:46 2026",
        b"",
    ],
)
def test_prose_is_no_from_line(line: bytes) -> None:
    """A line of text that begins with "From " is not a From-line."""
    assert from_line.length(line + b"\n") == 0


def test_messages_are_what_stands_between_from_lines(box: Box) -> None:
    """The messages are the texts between From-lines."""
    box.write(ONE, TWO)
    assert box.texts() == [ONE, TWO]


def test_missing_empty_line(box: Box) -> None:
    """A missing empty line between messages hides no message."""
    box.file.write_bytes(FROM + ONE + FROM + TWO)
    assert box.texts() == [ONE, TWO]


def test_a_file_may_end_without_a_line_end(box: Box) -> None:
    """known-bug/last-line-end: the size counts the line end that it gets on the wire."""
    box.file.write_bytes(FROM + ONE + b"\n" + FROM + TWO[:-1])
    assert box.texts() == [ONE, TWO[:-1]]
    assert box.sizes() == [reference.size(ONE), reference.size(TWO)]


def test_a_file_may_have_cr_lf_at_line_ends(box: Box) -> None:
    """An mbox may have CR LF at line ends."""
    box.file.write_bytes((FROM + ONE + b"\n" + FROM + TWO + b"\n").replace(b"\n", b"\r\n"))
    assert box.texts() == [ONE.replace(b"\n", b"\r\n"), TWO.replace(b"\n", b"\r\n")]
    assert box.sizes() == [reference.size(ONE), reference.size(TWO)]


def test_nul_and_other_octets_are_octets(box: Box) -> None:
    """All octets are kept."""
    odd = letter(1, bytes(range(256)) + b"\n\0\n")
    box.write(odd, TWO)
    assert box.texts() == [odd, TWO]


def test_empty_lines_before_the_first_message_do_no_harm(box: Box) -> None:
    """Empty lines before the first message are skipped."""
    box.file.write_bytes(b"\n\n" + FROM + ONE + b"\n")
    assert box.texts() == [ONE]


@pytest.mark.parametrize("octets", [b"garbage\n" + FROM + ONE, b"\0" * 100, b"From nobody\n\n"])
def test_what_is_no_mbox_is_refused_and_left_as_it_is(box: Box, octets: bytes) -> None:
    """A file that is not an mbox is a permanent error and stays unchanged."""
    box.file.write_bytes(octets)
    with pytest.raises(StoreError, match="not an mbox") as caught:
        box.uids()
    assert caught.value.permanent
    with pytest.raises(StoreError, match="not an mbox"):
        box.deliver(ONE)
    assert box.file.read_bytes() == octets


def test_prose_that_begins_with_from_splits_no_message(box: Box) -> None:
    """Text that begins with "From " does not split a message."""
    prose = letter(1, b"a\n\nFrom here on\n\nFrom: x\n")
    box.write(prose, TWO)
    assert box.texts() == [prose, TWO]


def test_quotes_are_taken_off_where_lines_were_quoted(box: Box) -> None:
    """As mboxrd has it, and as mboxo for all but lines that came with quotes."""
    box.write(letter(1, b">From a\n>>From b\n> From c\n>From\n"))
    assert box.texts() == [letter(1, b"From a\n>From b\n> From c\n>From\n")]
    assert box.sizes() == [reference.size(box.texts()[0])]


def test_quotes_stay_where_somebody_quotes_nothing(box: Box) -> None:
    """As in mboxcl2: a line that begins with "From " shows that nothing was quoted."""
    text = letter(1, b">From a\nFrom b\n>>From c\n")
    box.write(text)
    assert box.texts() == [text]


def with_length(octets: int, body: bytes) -> bytes:
    return b"Subject: a\nContent-Length: %d\n\n" % octets + body


OLD = FROM.replace(b"2026", b"2025")
BODY = b"a\n\n" + OLD + b"Subject: forwarded\n\nb\n"


def test_a_true_content_length_says_where_a_message_ends(box: Box) -> None:
    """A correct Content-Length decides where a message ends."""
    box.write(with_length(len(BODY), BODY), TWO)
    assert box.texts() == [b"Subject: a\n\n" + BODY, TWO]


@pytest.mark.parametrize("octets", [0, 1, len(BODY) - 1, len(BODY) + 9, 10**9, 10**17])
def test_a_false_content_length_is_not_believed(box: Box, octets: int) -> None:
    """A wrong Content-Length is ignored."""
    box.write(with_length(octets, b"a\n"), with_length(octets, b"b\n"), TWO)
    assert box.texts() == [b"Subject: a\n\na\n", b"Subject: a\n\nb\n", TWO]


def test_a_content_length_hides_no_mail_that_came_later(box: Box) -> None:
    """A sender can guess the length of the next message."""
    false = with_length(len(BODY), b"a\n")
    box.write(false)
    known = box.uids()
    box.file.write_bytes(FROM + with_length(len(BODY), BODY.replace(OLD, FROM)) + b"\n")
    assert box.texts() == [b"Subject: a\n\na\n", b"Subject: forwarded\n\nb\n"]
    assert box.uids()[:1] == known


def test_a_removal_makes_no_false_content_length_true(box: Box) -> None:
    """Nor another message that looks like an IMAP server's own into the first."""
    internal = INTERNAL.replace(b"Status", b"X-Other")
    box.file.write_bytes(
        FROM + with_length(len(BODY), b"a\n") + b"\n" + OLD + ONE + b"\n"
        + OLD + b"Subject: forwarded\n\nb\n\n" + FROM + internal + b"\n"
    )  # fmt: skip
    uids, texts = box.uids(), box.texts()
    assert len(uids) == 4
    box.remove(1)
    assert (box.uids(), box.texts()) == (uids[:1] + uids[2:], texts[:1] + texts[2:])
    box.remove(0, 1)
    assert (box.uids(), box.texts()) == (uids[3:], texts[3:])


INTERNAL = (
    b"Date: Tue, 24 Nov 2026 22:00:46 +0000\n"
    b"From: Mail System Internal Data <MAILER-DAEMON@host>\n"
    b"Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\n"
    b"X-IMAP: 1425290397 0000000012\nStatus: RO\n\nThis text is part of the folder.\n"
)


def test_imap_internal_message(box: Box) -> None:
    """The internal message of an IMAP server is not listed and stays in the file."""
    internal = INTERNAL
    box.write(internal, ONE, TWO)
    assert box.texts() == [ONE, TWO]
    box.remove(0, 1)
    assert box.file.read_bytes() == FROM + internal + b"\n"
    box.append(internal)
    assert len(box.texts()) == 1  # anywhere else it is a message like others


def test_flags_are_not_sent(box: Box) -> None:
    """Flags of mail programs are not part of a message."""
    flags = b"Status: RO\nX-UID: 7\nX-Keywords: a\n b\nLines: 1\n"
    box.write(ONE.replace(b"\n\n", b"\n" + flags + b"\n", 1), TWO)
    assert box.texts() == [ONE, TWO]
    assert box.sizes() == [reference.size(ONE), reference.size(TWO)]


def test_sent_status_fields_are_kept(box: Box) -> None:
    """Fields like Status that were sent with a message are returned with it."""
    message = b"Status: RO\nContent-Length: 3\nSubject: a\n\nFrom b\n"
    box.deliver(message)
    assert box.texts() == [message]
    assert box.sizes() == [reference.size(message)]


PIECES = [
    b"\n", b"\r\n", b"\r", b">", b"From ", b"Fro", FROM, FROM[:-1], b">From a\n", b"x", b"\0",
    b"Content-Length: 10\n", b"X-Restante-Mbox: copy=2\n", b"X-Restante-Mbox: 1 unended\n", b".",
    b"Status: RO\n", b"X-IMAP: 1 2\n", b"Subject: a\n",
]  # fmt: skip
odd_messages = st.lists(st.sampled_from(PIECES), max_size=12).map(b"".join)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(odd_messages, min_size=1, max_size=4))
def test_delivery_round_trip(box: Box, messages: list[bytes]) -> None:
    """rfc1939-s11/size: also what looks like the mbox's own lines."""
    box.file.unlink(missing_ok=True)
    uids = [box.deliver(message) for message in messages]
    assert box.texts() == messages
    assert box.uids() == uids
    assert box.sizes() == [reference.size(message) for message in messages]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary() | odd_messages)
def test_any_file_raises_store_errors(box: Box, octets: bytes) -> None:
    """Any file makes the store raise only its documented errors."""
    box.file.write_bytes(octets)
    try:
        texts, sizes = box.texts(), box.sizes()
    except StoreError:
        return
    assert sizes == [reference.size(text) for text in texts]
    assert box.file.read_bytes() == octets


DATED = b"From bob@example.com Fri Jul 14 02:40:00 2017"


@pytest.mark.parametrize(
    ("octets", "found"),
    [
        (DATED, True),
        (b"a message that was cut off in mid-li" + DATED + b"\nSubject: a\n", True),
        (b"From " * 5000 + DATED + b"\n", True),
        (b"x" * 5000 + b"\n" + DATED + b"\r\nSubject: a\n", True),
        (b"From bob to ann\n" * 5000, False),
        (DATED[5:] + b"\n", False),
        (DATED + b"x" * from_line.LONGEST, False),
    ],
)
def test_a_from_line_may_begin_where_a_write_was_cut_off(octets: bytes, found: bool) -> None:
    """Then it is another program's message, and nothing is cut: RFC 4155 appendix A."""
    assert from_line.may_contain(octets) is found


def test_many_false_lengths(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of nested messages whose lengths all end at one From-line, each is read a few times."""
    count, octets = 300, 120
    newest = count - 2  # it keeps the others from being true
    dates = [time.asctime(time.gmtime(10**9 - number * 60)) for number in range(count)]
    dates[newest] = time.asctime(time.gmtime(2 * 10**9))
    texts = []
    for number, date in enumerate(dates):
        head = f"From ann {date}\nContent-Length: {{:06}}\n\n"
        length = (count - 1 - number) * octets - len(head.format(0))
        texts.append(head.format(max(0, length)).ljust(octets - 2, "x") + "\n\n")
    box.file.write_text("".join(texts))
    reads, pread = Counter[str](), os.pread

    def counted(file: int, octets: int, place: int) -> bytes:
        reads["all"] += 1
        return pread(file, octets, place)

    monkeypatch.setattr(os, "pread", counted)
    assert len(box.uids()) == count
    assert reads.total() < 20 * count
