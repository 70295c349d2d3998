"""Which messages count as marked, and so keep the client from saying QUIT unasked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

import restante
from restante.client import blocking
from restante.client.maildrop import MaildropState, mark, mark_many, run_raw_command
from restante.client.options import parse_url
from restante.client.session import ClientSession
from restante.protocol.client.effects import ClientEffect, Peek, Receive, Send
from restante.protocol.errors import LocalError, ServerRefusedError
from support.faulty_server import PASSWORD, faulty_server

URL = "pop3://ann@127.0.0.1"


def test_marked_from_dele_on() -> None:
    """A message counts as marked once DELE is sent, until the server rejects that."""
    box = MaildropState(ClientSession(parse_url(URL)))
    marking = mark(box, 1)
    assert next(marking) == Peek(0)
    before = box.may_quit
    assert isinstance(marking.send(b""), Send)
    assert (before, box.may_quit) == (True, False)
    marking.send(b"")
    with pytest.raises(ServerRefusedError):
        marking.send(b"-ERR no\r\n")
    assert not box.marked


def test_words_of_quit_without_marks() -> None:
    """If nothing was marked, no words of a server's goodbye are a failure."""
    with faulty_server("QUIT: +OK Some messages were not removed") as server:
        with blocking.connect(server.url, PASSWORD) as drop:
            drop.commit()


def test_message_of_another_session() -> None:
    """A message that was listed in an earlier session is not deleted by its number then."""
    with faulty_server() as server:
        with blocking.connect(server.url, PASSWORD) as drop:
            earlier = drop[2]
            drop.delete(1)
            drop.commit()
        with blocking.connect(server.url, PASSWORD) as drop:
            assert drop[1].uid == earlier.uid
            with pytest.raises(LocalError, match="message 2 is of another session"):
                drop.delete(earlier)
            assert not drop.marked


def test_asyncio_message_of_another_session() -> None:
    """With asyncio it is not deleted either."""

    async def delete_earlier(url: str) -> None:
        async with restante.connect(url, PASSWORD) as drop:
            earlier = drop[1]
        async with restante.connect(url, PASSWORD) as drop:
            with pytest.raises(LocalError, match="another session"):
                await drop.delete(earlier)
            assert not drop.marked

    with faulty_server() as server:
        asyncio.run(delete_earlier(server.url))


@pytest.mark.parametrize("capabilities", ["CAPA: with PIPELINING", "CAPA: without PIPELINING"])
def test_marked_after_ok_with_failure(capabilities: str) -> None:
    """A message counts as marked if the reply to DELE is +OK with a code of failure."""
    with faulty_server(capabilities, "DELE: +OK [SYS/TEMP] disk full") as server:
        with blocking.connect(server.url, PASSWORD) as drop:
            refused = drop.delete_many([1])
            with pytest.raises(ServerRefusedError, match=r"sys-temp: \[SYS/TEMP\] disk full"):
                drop.delete(2)
            assert refused[1].says_ok
            assert drop.marked == {1, 2}
    assert "QUIT" not in server.commands


@pytest.mark.parametrize(
    "reply",
    [
        "+OK [SYS/PERM] the store is read-only",
        "+OK Signing off, but message deletion failed",
        "+OK bye, could not delete 2 messages",
        "+OK 2 messages were not removed",
    ],
)
def test_ok_that_reports_a_failed_removal(reply: str) -> None:
    """A reply to QUIT that reports a failed removal raises an error, although it is +OK."""
    with faulty_server(f"QUIT: {reply}") as server:
        with blocking.connect(server.url, PASSWORD) as drop:
            drop.delete(1)
            with pytest.raises(ServerRefusedError, match="quit-err") as caught:
                drop.commit()
    assert caught.value.said == reply


@pytest.mark.parametrize("text", ["Logging out, messages deleted.", "bye (1 message left)", ""])
def test_ok_that_confirms_the_removal(text: str) -> None:
    """Other replies to QUIT confirm the removal, whatever their text is."""
    with faulty_server(f"QUIT: +OK {text}") as server:
        with blocking.connect(server.url, PASSWORD) as drop:
            drop.delete(1)
            drop.commit()
    assert server.commands[-2:] == ["DELE 1", "QUIT"]


def test_rejected_second_delete() -> None:
    """A rejected second delete leaves the message marked."""
    with faulty_server("dele-refused-2") as server:
        with blocking.connect(server.url, PASSWORD) as drop:
            drop.delete(1)
            with pytest.raises(ServerRefusedError):
                drop.delete(1)
            assert drop.marked == {1}
    assert "QUIT" not in server.commands


@pytest.mark.parametrize(
    "call",
    [
        lambda drop, number: drop[number],
        lambda drop, number: drop.delete(number),
        lambda drop, number: drop.delete_many([number]),
        lambda drop, number: drop.headers([number]),
        lambda drop, number: list(drop.retrieve(number)),
        lambda drop, number: list(drop.retrieve_many([number])),
    ],
)
def test_a_number_is_an_int(call: Callable[[blocking.Maildrop, Any], object]) -> None:
    """Words of a reply, which programs for poplib pass on, are refused."""
    with faulty_server() as server:
        with blocking.connect(server.url, PASSWORD) as drop:
            for given in ("1", True):
                with pytest.raises(TypeError, match=f"a message number is an int, not {given!r}"):
                    call(drop, given)
            assert not drop.marked
    assert server.commands[-2:] == ["UIDL", "QUIT"]


@pytest.mark.parametrize("capabilities", ["CAPA: with PIPELINING", "CAPA: without PIPELINING"])
def test_many_at_once(capabilities: str) -> None:
    """Of many messages those count as marked that the server does not refuse."""
    with faulty_server(capabilities, "DELE 2: -ERR no") as server:
        with blocking.connect(server.url, PASSWORD) as drop:
            refused = drop.delete_many([1, 2])
            assert ({number: error.text for number, error in refused.items()}) == {2: "no"}
            assert drop.marked == {1}
            drop.commit()
    assert server.commands[-3:] == ["DELE 2", "DELE 1", "QUIT"]


def test_numbers_that_move() -> None:
    """A server that numbers messages anew at each DELE deletes the ones that were named."""
    with faulty_server("dele-renumbers") as server:
        with blocking.connect(server.url, PASSWORD) as drop:
            drop.delete_many([1, 2, 2])
            drop.commit()
        assert server.left == []


def test_commands_ahead() -> None:
    """With PIPELINING all commands leave before the first reply, and count as marks from there."""
    session = ClientSession(parse_url(URL))
    session.capabilities = {"PIPELINING": ""}
    box = MaildropState(session)
    marking = mark_many(box, [1, 2, 3])
    assert next(marking) == Peek(0)
    assert marking.send(b"") == Send(b"DELE 3\r\nDELE 2\r\nDELE 1\r\n")
    assert box.marked == {1, 2, 3}
    marking.send(b"")
    with pytest.raises(StopIteration) as done:
        marking.send(b"+OK\r\n-ERR no\r\n+OK\r\n")
    assert (list(done.value.value), box.marked) == ([2], {1, 3})


@pytest.mark.parametrize(("line", "number"), [("DELE\t1", 1), (" dele  1", 1), ("DELE\t1 2", 0)])
def test_typed_with_any_blanks(line: str, number: int) -> None:
    """A delete that was typed marks a message, also with blanks that only some servers allow."""
    box = MaildropState(ClientSession(parse_url(URL)))
    dialogue = run_raw_command(box, line)
    effect: ClientEffect | None = next(dialogue)
    with pytest.raises(StopIteration):
        while True:
            effect = dialogue.send(b"+OK\r\n" if isinstance(effect, Receive) else b"")
    assert (box.marked, box.may_quit) == ({number}, False)
