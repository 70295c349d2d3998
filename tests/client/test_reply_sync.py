"""Replies and commands in step: extra replies are found, and waited for only in doubt."""

from __future__ import annotations

import asyncio
import select
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from restante.client import asyncio_driver, blocking, maildrop, socket_driver
from restante.client.maildrop import MaildropState
from restante.client.messages import MessageTable
from restante.client.options import Options, parse_url
from restante.client.session import ClientSession
from restante.protocol.client import operations
from restante.protocol.client.connection import ServerPeer
from restante.protocol.client.effects import (
    END_OF_REPLY,
    REST_OF_MESSAGE,
    ClientEffect,
    Dialogue,
    MessageChunk,
    Peek,
    Receive,
    Send,
)
from restante.protocol.client.pipeline import Operation, carry_out
from restante.protocol.errors import (
    ConnectionLostError,
    MalformedReplyError,
    RemoteError,
    ServerRefusedError,
)
from support.faulty_server import HELLO, PASSWORD, faulty_server

TARGET = parse_url("pop3://ann@127.0.0.1")


def steps(dialogue: Dialogue[Any], said: bytes, later: bytes = b"") -> list[ClientEffect]:
    """Return the steps; `said` is the answer to Receive, `later` to a look for an end."""
    found: list[ClientEffect] = []
    answer: bytes | None = None
    try:
        while True:
            step = next(dialogue) if answer is None else dialogue.send(answer)
            found.append(step)
            ends = later if step == Peek(END_OF_REPLY) else b""
            answer = said if isinstance(step, Receive) else ends
    except StopIteration:
        return found


def retrieved(promised: int | None) -> list[ClientEffect]:
    return steps(
        carry_out(ServerPeer(), operations.retr(1, promised)), b"+OK\r\n" + HELLO + b".\r\n"
    )


def test_expected_length_needs_no_wait() -> None:
    """After a message of the listed length the client does not wait for more."""
    assert retrieved(len(HELLO)) == [Send(b"RETR 1\r\n"), Receive(), MessageChunk(HELLO)]


@pytest.mark.parametrize("promised", [None, 0, len(HELLO) - 1, len(HELLO) + 1])
def test_a_message_of_another_length_is_waited_behind(promised: int | None) -> None:
    """Its end may be a line that was not stuffed, with the rest still on its way."""
    assert retrieved(promised)[-1] == Peek(REST_OF_MESSAGE)


def test_a_dot_within_a_message() -> None:
    """A dot after the announced octets ends a message only if nothing comes for a moment."""
    begin, rest = b"Subject: a\r\n\r\nhello.\r\n", b"more\r\n"
    dialogue = carry_out(ServerPeer(), operations.retr(1, len(begin) - len(b".\r\n")))
    found = steps(dialogue, b"+OK\r\n" + begin, rest + b".\r\n")
    chunks = (step.octets for step in found if isinstance(step, MessageChunk))
    assert b"".join(chunks) == begin + rest


def box() -> MaildropState:
    return MaildropState(ClientSession(TARGET), MessageTable({1: 5}, {}))


CALLS: list[Callable[[MaildropState], Dialogue[Any]]] = [
    lambda box: maildrop.headers(box, [1]),
    lambda box: maildrop.retrieve(box, 1),
    lambda box: maildrop.mark(box, 1),
    maildrop.unmark,
    lambda box: maildrop.run_raw_command(box, "NOOP"),
    maildrop.commit,
]
NAMES = ["headers", "retrieve", "mark", "unmark", "typed", "commit"]


@pytest.mark.parametrize("call", CALLS, ids=NAMES)
def test_extra_reply_found_before_command(call: Callable[[MaildropState], Dialogue[Any]]) -> None:
    """An extra reply is found before the next command is sent."""
    opened = box()
    asked = call(opened)
    assert next(asked) == Peek(0)
    with pytest.raises(MalformedReplyError) as caught:
        asked.send(b"+OK more\r\n")
    assert caught.value.id == "desync"
    assert "+OK more" in caught.value.text
    assert opened.session.peer.broken
    assert not opened.marked


@pytest.mark.parametrize("call", CALLS, ids=NAMES)
def test_goodbye_is_quoted(call: Callable[[MaildropState], Dialogue[Any]]) -> None:
    """If the server says goodbye and hangs up, the error quotes it."""
    asked = call(box())
    next(asked)
    with pytest.raises(ConnectionLostError, match="idle for too long"):
        asked.send(b"-ERR idle for too long\r\n")


def test_commit_checks_extra_octets() -> None:
    """A commit that removes messages after RETR waits for octets that may follow the message."""
    opened = box()
    opened.retrieved, opened.marked = True, {1}
    assert next(maildrop.commit(opened)) == Peek(REST_OF_MESSAGE)


def test_commit_that_removes_nothing_does_not_wait() -> None:
    """Where nothing is marked, what follows the message shows as the reply to QUIT."""
    opened = box()
    opened.retrieved = True
    ending = maildrop.commit(opened)
    assert next(ending) == Peek(0)
    assert ending.send(b"") == Send(b"QUIT\r\n")
    ending.send(b"")
    with pytest.raises(MalformedReplyError) as caught:
        ending.send(b"the rest of a message\r\n")
    assert caught.value.id == "bad-reply"


def look() -> Dialogue[bytes]:
    return (yield from Peek(0))


def test_peek_does_not_wait() -> None:
    """A peek returns what the socket holds and does not wait."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sock = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
        with sock, server:
            held = socket_driver.SocketDriver(ClientSession(TARGET), sock)
            assert not held.run(look())
            server.sendall(b"x")
            assert select.select([sock], [], [], 10)[0]
            assert held.run(look()) == b"x"


def test_a_look_under_asyncio_sees_the_same() -> None:
    """The asyncio driver returns octets that have come already."""

    async def looked() -> tuple[bytes, bytes]:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            streams = await asyncio.open_connection(*listener.getsockname())
            server, _ = listener.accept()
            with server:
                held = asyncio_driver.AsyncioDriver(ClientSession(TARGET), *streams)
                before = await held.run(look())
                server.sendall(b"x")
                sock = streams[1].get_extra_info("socket")
                assert select.select([sock], [], [], 10)[0]
                after = await held.run(look())
                held.close()
                return before, after

    assert asyncio.run(looked()) == (b"", b"x")


def test_peek_after_total_time() -> None:
    """After the total time a peek returns octets that have arrived, but no reply is read."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sock = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
        with sock, server:
            held = socket_driver.SocketDriver(ClientSession(TARGET, Options(total_seconds=9)), sock)
            held.io.ends = time.monotonic() - 1
            server.sendall(b"+OK\r\n")
            assert select.select([sock], [], [], 10)[0]
            with pytest.raises(RemoteError, match=r"the time limit of .* s has passed"):
                held.run(carry_out(held.session.peer, operations.noop()))


def test_octets_after_message_fail() -> None:
    """A message of the listed length with further octets after it is an error."""
    first = b"Subject: x\r\n\r\n"
    listed = f"LIST: with 1 {len(first)}"
    with faulty_server("retr-unstuffed", listed, messages=(first + b".\r\nmore\r\n",)) as server:
        with blocking.connect(server.url, PASSWORD) as drop:
            with pytest.raises(MalformedReplyError):
                drop[1].read()
                drop.delete(1)
    assert "DELE 1" not in server.commands


@pytest.mark.parametrize(
    "operation",
    [
        operations.capa(),
        operations.list_(),
        operations.uidl(),
        operations.top(1),
        operations.retr(1),
    ],
    ids=lambda operation: operation.request.split()[0].decode(),
)
def test_lines_after_ok_with_failure(operation: Operation[object]) -> None:
    """After an +OK with a code of failure, lines may follow or not: no command does."""
    peer = ServerPeer()
    with pytest.raises(ServerRefusedError):
        steps(carry_out(peer, operation), b"+OK [SYS/TEMP] later\r\n1 120\r\n.\r\n")
    assert peer.broken


def test_no_lines_after_ok_with_failure() -> None:
    """After such an answer to a command without lines, the next command gets its own reply."""
    peer = ServerPeer()
    with pytest.raises(ServerRefusedError):
        steps(carry_out(peer, operations.dele(1)), b"+OK [SYS/TEMP] later\r\n")
    assert not peer.broken
