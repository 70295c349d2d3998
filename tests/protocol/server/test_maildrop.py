"""Maildrops of all sizes: huge, full of messages, and with nothing in a message."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, cast

import pytest

from restante.protocol.server import handlers
from restante.protocol.server.maildrop import MaildropView, MessageList
from restante.protocol.server.needs import Reply, SendPart
from restante.protocol.server.session import Session, State
from support.world import Talk, World


def logged_in(*messages: bytes) -> Talk:
    world = World()
    world.add("ann", "secret", *messages)
    talk = Talk(world)
    talk.send(b"USER ann\r\nPASS secret\r\n")
    return talk


def test_sums_beyond_32_bits_are_right() -> None:
    """known-bug/large-sums."""
    view = MaildropView(MessageList((2**31, 2**32, 2**40 + 1), ("a", "b", "c")))
    session = Session(state=State.TRANSACTION, view=view)
    assert handlers.stat(session) == b"+OK 3 1105954078721\r\n"
    handlers.dele(session, 1)
    assert handlers.stat(session) == b"+OK 2 1103806595073\r\n"
    assert handlers.list_(session, 3) == b"+OK 3 1099511627777\r\n"


def test_thousand_messages() -> None:
    """known-bug/many-messages: each of a thousand messages is listed and sent."""
    talk = logged_in(*(b"%d\n" % number for number in range(1, 1001)))
    for command in (b"LIST\r\n", b"UIDL\r\n"):
        lines = talk.send(command).split(b"\r\n")[1:-2]
        assert [int(line.split()[0]) for line in lines] == list(range(1, 1001))
    for number in (1, 500, 1000):
        assert talk.send(b"RETR %d\r\n" % number).endswith(b" octets\r\n%d\r\n.\r\n" % number)


class Counted(int):
    """A size, or a unique-id, that counts how often one was written."""

    written = 0

    def __format__(self, form: str) -> str:
        Counted.written += 1
        return super().__format__(form)


Handler: TypeAlias = Callable[[Session, int | None], bytes | Reply]


def listed(handler: Handler, view: MaildropView) -> tuple[bytes, list[int]]:
    """Return a reply, and how many values were written for each of its parts."""
    Counted.written, counts, sent = 0, [], b""
    reply = handler(Session(state=State.TRANSACTION, view=view), None)
    try:
        while not isinstance(reply, bytes):
            part = next(reply)
            assert isinstance(part, SendPart)
            sent += part.octets
            counts.append(Counted.written)
            Counted.written = 0
    except StopIteration as ended:
        reply = sent + ended.value
    return reply, [*counts, Counted.written]


@pytest.mark.parametrize("handler", [handlers.list_, handlers.uidl])
@pytest.mark.parametrize("marked", [0, 1, 12_345])
def test_huge_listing(handler: Handler, marked: int) -> None:
    """A listing of 20,000 messages is made and sent in parts of 5000 lines."""
    values = tuple(map(Counted, range(1, 20_001)))
    view = MaildropView(MessageList(values, cast("Any", values)))
    for number in range(1, marked + 1):
        view.mark(number)
    reply, counts = listed(handler, view)
    numbers = range(marked + 1, 20_001)
    assert reply.split(b"\r\n")[1:-2] == [b"%d %d" % (number, number) for number in numbers]
    assert max(counts) <= 5000


@pytest.mark.parametrize("handler", [handlers.list_, handlers.uidl])
def test_listing_is_kept(handler: Handler) -> None:
    """The listing of a maildrop is made once for all its sessions, whatever one has marked."""
    values = tuple(map(Counted, range(1, 20_001)))
    contents = MessageList(values, cast("Any", values))
    first, view = MaildropView(contents), MaildropView(contents)
    whole, _ = listed(handler, first)
    view.mark(1)
    assert listed(handler, view)[0] != whole
    view.unmark_all()
    again, counts = listed(handler, view)
    assert (again, sum(counts)) == (whole, 0)


@pytest.mark.parametrize("uid", ["a b", "a\r\n1", "", "\xe9", "a\tb", "a\n", "a\x7f"])
@pytest.mark.parametrize("number", [None, 2])
def test_no_unique_id_breaks_the_reply(uid: str, number: int | None) -> None:
    """A store of an embedding program may give any text: the error says what a unique-id is."""
    view = MaildropView(MessageList((1, 2), ("good", uid)))
    session = Session(state=State.TRANSACTION, view=view)
    with pytest.raises(ValueError, match=r"the store gave .* a unique-id has 1 to 70"):
        handlers.uidl(session, number)
    assert handlers.uidl(session, 1) == b"+OK 1 good\r\n"


def test_each_message_has_a_size_and_a_unique_id() -> None:
    """A list that lacks a unique-id is an error where the store makes it."""
    with pytest.raises(ValueError, match="2 sizes and 1 unique-ids"):
        MessageList((1, 2), ("a",))


def test_empty_message() -> None:
    """policy/empty-message: an empty message is a status line and the terminator."""
    talk = logged_in(b"")
    assert talk.send(b"STAT\r\n") == b"+OK 1 0\r\n"
    assert talk.send(b"RETR 1\r\n") == b"+OK 0 octets\r\n.\r\n"
    assert talk.send(b"TOP 1 9\r\n") == b"+OK\r\n.\r\n"
