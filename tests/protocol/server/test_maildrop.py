"""Maildrops of all sizes: huge, full of messages, and with nothing in a message."""

from __future__ import annotations

from restante.protocol.server import handlers
from restante.protocol.server.maildrop import MaildropView, MessageList
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


def test_empty_message() -> None:
    """policy/empty-message: an empty message is a status line and the terminator."""
    talk = logged_in(b"")
    assert talk.send(b"STAT\r\n") == b"+OK 1 0\r\n"
    assert talk.send(b"RETR 1\r\n") == b"+OK 0 octets\r\n.\r\n"
    assert talk.send(b"TOP 1 9\r\n") == b"+OK\r\n.\r\n"
