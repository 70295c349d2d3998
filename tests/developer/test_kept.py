"""The mail and the lines of developer mode are bounded in sum, and secrets are not kept."""

from __future__ import annotations

import asyncio
import smtplib
import tracemalloc

import pytest

from restante.developer.faults import MAX_USERS, FaultSwitch
from restante.developer.feed import MAX_WAITERS, EventFeed, TooManyWaitersError
from restante.developer.mailboxes import MAX_FETCHES, MAX_MAILBOXES, MAX_REMOVED, Mailboxes
from restante.developer.secrets import LineRedaction
from restante.developer.sessions import (
    LONGEST_LINE,
    MAX_LINES,
    MAX_LINES_OF_ONE,
    MAX_SESSIONS,
    SessionTable,
)
from restante.developer.tags import LONGEST as LONGEST_TAG
from restante.developer.tags import MAX_TAGS, tags_of
from restante.misbehave.fault import NONE
from restante.storage.errors import FullError
from support.developer import serving


def test_octets_of_mail() -> None:
    """Mail beyond the bound is refused, and there is room again when some is removed."""
    boxes = Mailboxes(EventFeed(), most_octets=10)
    boxes.add("ann", b"x" * 6)
    with pytest.raises(FullError):
        boxes.add("bob", b"x" * 5)
    boxes.remove({1})
    boxes.add("bob", b"x" * 10)


def test_full_over_smtp() -> None:
    """A client of SMTP gets 452 when there is no room, and may try again later."""
    with serving() as server:
        server.mailboxes.most_octets = 10
        with smtplib.SMTP(server.host, server.smtp_port or 0, timeout=20) as client:
            with pytest.raises(smtplib.SMTPDataError, match="452"):
                client.sendmail("a@example.com", ["b@example.com"], "Subject: a\n\nhello\n")


def test_removed_mail() -> None:
    """The latest removed messages are remembered."""
    boxes = Mailboxes(EventFeed())
    for _ in range(MAX_REMOVED + 2):
        boxes.remove({boxes.add("ann", b"x").id})
    kept = boxes.removed_mail()
    assert (len(kept), kept[0].id) == (MAX_REMOVED, 3)


def test_sessions() -> None:
    """The latest sessions that are over are remembered, and all live ones."""
    table = SessionTable(EventFeed())
    live = table.open("POP3", "")
    for _ in range(MAX_SESSIONS + 2):
        table.open("POP3", "").end("quit")
    assert table.find(live.number) is not None
    assert (len(table.all()), table.all()[1].number) == (MAX_SESSIONS + 1, 4)


def test_lines() -> None:
    """Lines beyond the bound of a session are counted; those of all forget the oldest sessions."""
    table = SessionTable(EventFeed())
    per_session = MAX_LINES_OF_ONE
    for _ in range(MAX_LINES // per_session + 1):
        record = table.open("POP3", "")
        for _ in range(per_session + 1):
            record.add("C", "x")
        record.end("quit")
    sessions = table.all()
    assert sessions[0].number == 2
    assert sum(len(session.lines) for session in sessions) <= MAX_LINES
    assert sessions[-1].line_count == per_session + 1


def test_a_long_line() -> None:
    """A long line is cut, and what a terminal obeys is escaped."""
    table = SessionTable(EventFeed())
    record = table.open("POP3", "")
    record.add("C", "\x1b[2J" + "x" * 2 * LONGEST_LINE)
    (line,) = table.all()[0].lines
    assert line.text.startswith("\\x1b[2J")
    assert len(line.text) < LONGEST_LINE + 40


def test_events() -> None:
    """The latest events are remembered, and a slow reader goes on with those."""
    feed = EventFeed(most=2)
    for _ in range(5):
        feed.publish("session", number=1)
    assert [event.id for event in feed.after(0)] == [4, 5]
    assert feed.after(5) == []


def test_waiters() -> None:
    """A bounded number of readers waits at once."""

    async def run() -> None:
        feed = EventFeed()
        waiting = [asyncio.create_task(feed.reader().next(60)) for _ in range(MAX_WAITERS)]
        await asyncio.sleep(0)
        with pytest.raises(TooManyWaitersError):
            await feed.reader().next(60)
        feed.publish("session", number=1)
        assert all(await asyncio.gather(*waiting))

    asyncio.run(run())


@pytest.mark.parametrize(
    ("lines", "shown"),
    [
        ([b"PASS secret"], ["PASS ***"]),
        ([b"pass secret\r\n"], ["PASS ***"]),
        ([b"\tPASS\tsecret"], ["PASS ***"]),
        ([b"APOP ann 0123"], ["APOP ann ***"]),
        ([b"AUTH PLAIN AGEAYg=="], ["AUTH PLAIN ***"]),
        ([b"AUTH LOGIN", b"YW5u", b"CAPA", b"x y"], ["AUTH LOGIN", "***", "CAPA", "x y"]),
        ([b"AUTH PLAIN", b"*"], ["AUTH PLAIN", "*"]),
        ([b"USER b\xff"], ["USER b\\xff"]),
        ([b"PASS:secret"], ["PASS***"]),
        ([b"PASSsecret"], ["PASS***"]),
        ([b"\0pass\0secret"], ["\0pass***"]),
        ([b"APOP b\tsecret"], ["APOP b ***"]),
        ([b"AUTH:PLAIN", b"AGEAYg==", b"CAPA"], ["AUTH***", "***", "CAPA"]),
        ([b"USER b\r\r\n"], ["USER b\r"]),
        ([b"CAPA\rPASS secret\r\n"], ["CAPA\r***"]),
        ([b"AUTH PLAIN\r", b"x\rAGEAYg==\r"], ["AUTH PLAIN", "***\r***"]),
    ],
)  # fmt: skip
def test_secrets(lines: list[bytes], shown: list[str]) -> None:
    """PASS, APOP, AUTH and each line after AUTH are starred, also where they are misspelt."""
    redaction = LineRedaction({"USER", "PASS", "APOP", "AUTH", "CAPA"})
    assert [redaction.show(line).text for line in lines] == shown


def test_faults_of_mailboxes() -> None:
    """A bounded number of mailboxes has faults of its own, and a free place can be used again."""
    switch = FaultSwitch(EventFeed())
    for number in range(MAX_USERS):
        switch.use([NONE], f"user-{number}")
    with pytest.raises(ValueError, match="at most 1000 mailboxes"):
        switch.use([NONE], "one-more")
    switch.use([], "user-0")
    switch.use([NONE], "one-more")
    assert len(switch.by_user) == MAX_USERS


def test_tags() -> None:
    """A message has a bounded number of tags of a bounded length; a header of more is cut."""
    boxes = Mailboxes(EventFeed())
    many = [f"tag-{number}" for number in range(MAX_TAGS + 1)]
    mail = boxes.add("ann", f"X-Tags: {','.join(many)}\n\n".encode())
    assert len(mail.tags) == MAX_TAGS
    for wrong in (many, ["x" * (LONGEST_TAG + 1)]):
        with pytest.raises(ValueError, match="tag"):
            boxes.tag([mail.id], wrong)


def test_a_large_field_of_tags() -> None:
    """A field of tags that is as long as the whole message costs little memory."""
    message = b"X-Tags: first, " + b"a" * 4_000_000 + b"\n" + b" a,\n" * 1_000_000 + b"\n"
    tracemalloc.start()
    try:
        assert tags_of("ann@example.com", message) == ("first",)
        assert tracemalloc.get_traced_memory()[1] < 4_000_000  # octets
    finally:
        tracemalloc.stop()


def test_mailboxes_of_any_name_are_bounded() -> None:
    """Logins with ever new names leave 1,000 mailboxes: those with mail or a session stay."""
    boxes = Mailboxes(EventFeed())
    boxes.add("ann", b"a\n")

    async def log_in() -> None:
        held = await boxes.acquire("bob", 0)
        boxes.note_holder("bob", 1)
        for number in range(MAX_MAILBOXES + 10):
            (await boxes.acquire(f"user{number}", 0)).release()
        held.release()

    asyncio.run(log_in())
    names = boxes.names()
    assert len(names) == MAX_MAILBOXES
    assert {"ann", "bob", f"user{MAX_MAILBOXES + 9}"} <= set(names)
    assert "user0" not in names


def test_sessions_that_fetched_a_message_are_bounded() -> None:
    """A session that retrieves a message again is noted once, and the last sessions are known."""
    boxes = Mailboxes(EventFeed())
    mail = boxes.add("ann", b"a\n")
    for session in range(1, MAX_FETCHES + 3):
        for _ in range(2):
            boxes.note_fetched("ann", mail.uid, session)
    (mail,) = boxes.mail()
    assert mail.fetched_by == tuple(range(3, MAX_FETCHES + 3))
