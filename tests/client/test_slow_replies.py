"""A reply has its first seconds, and then the time of its octets at the least speed: no more."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import repeat
from typing import TypeVar

import pytest

import restante
from restante import blocking
from restante.client.greeting import read_greeting
from restante.client.io import ClientIO, Finished, ReadBytes, advance
from restante.client.options import parse_url
from restante.client.session import ClientSession
from restante.protocol.client.effects import Dialogue, MessageChunk
from restante.protocol.client.operations import (
    MessageEnd,
    capa,
    list_,
    noop,
    retr,
    stat,
    top,
    uidl,
)
from restante.protocol.client.pipeline import pipeline
from restante.protocol.client.raw_command import raw_command
from restante.protocol.errors import ReplyTimeoutError
from support.faulty_server import PASSWORD, faulty_server

T = TypeVar("T")
HOUR = 3600.0


class Line:
    """A line to a server that sends each piece some seconds after the one before.

    `reader_seconds`: how long the reader of a message needs for each chunk.
    """

    def __init__(self, pieces: Iterator[tuple[float, bytes]], reader_seconds: float = 0) -> None:
        self.now = 1000.0
        self.session = ClientSession(parse_url("pop3://ann@mail.example.com"))
        self._pieces = pieces
        self._reader_seconds = reader_seconds

    def run(self, dialogue: Dialogue[T]) -> T:
        """Carry out a dialogue."""
        steps = ClientIO(self.session).run(dialogue)
        answer: bytes | OSError | None = None
        with closing(steps), pytest.MonkeyPatch.context() as patch:
            patch.setattr(time, "monotonic", lambda: self.now)
            while not isinstance(effect := advance(steps, answer), Finished):
                answer = b""
                if isinstance(effect, MessageChunk):
                    self.now += self._reader_seconds
                elif isinstance(effect, ReadBytes):
                    answer = self._read(effect.until)
            return effect.value

    def _read(self, until: float) -> bytes | OSError:
        seconds, octets = next(self._pieces)
        self.now += seconds
        if self.now <= until:
            return octets
        self.now = until
        return TimeoutError()

    def retrieve(self, size: int) -> MessageEnd:
        """Return the end of message 1."""
        return self.run(self.session.carry_out(retr(1, size)))


def message(piece: bytes, times: int, seconds: float) -> Iterator[tuple[float, bytes]]:
    """Yield a reply to RETR with this piece of the message again and again."""
    yield seconds, b"+OK\r\n"
    yield from repeat((seconds, piece), times)
    yield seconds, b"\r\n.\r\n"


def test_dripping_message() -> None:
    """A server that sends one octet of a message now and then is left within a minute."""
    line = Line(message(b"x", 100_000, seconds=19))
    with pytest.raises(ReplyTimeoutError, match=r"only [0-9]+ octets in [0-9.]+ seconds") as raised:
        line.retrieve(100_000)
    assert raised.value.id == "stalled"
    assert line.now < 1060


def test_dripping_lines_of_a_typed_command() -> None:
    """Lines that come after a reply, and may go on, have the time of the reply, too."""
    line = Line(iter([(0, b"+OK\r\n"), *repeat((0.2, b"x"), 1000)]))
    assert line.run(line.session.carry_out(raw_command("XTND"))).ok
    assert line.now < 1060


def test_dripping_list() -> None:
    """The lines of a list do not begin the time anew."""
    line = Line(iter([(0, b"+OK\r\n"), *((19, b"%d 9\r\n" % n) for n in range(1, 1000))]))
    with pytest.raises(ReplyTimeoutError, match="octets in"):
        line.run(line.session.carry_out(list_()))
    assert line.now < 1060


DIALOGUES: list[tuple[str, Callable[[ClientSession], Dialogue[object]], bytes]] = [
    ("greeting", read_greeting, b"+OK "),
    ("CAPA", lambda session: session.carry_out(capa()), b"+OK\r\n"),
    ("STAT", lambda session: session.carry_out(stat()), b"+OK "),
    ("LIST", lambda session: session.carry_out(list_()), b"+OK\r\n"),
    ("UIDL", lambda session: session.carry_out(uidl()), b"+OK\r\n"),
    ("TOP", lambda session: session.carry_out(top(1, 0)), b"+OK\r\n"),
    ("RETR", lambda session: session.carry_out(retr(1, 10_000)), b"+OK\r\n"),
]


@pytest.mark.parametrize(("name", "ask", "begin"), DIALOGUES, ids=lambda value: str(value)[:8])
def test_ten_octets_a_second(
    name: str, ask: Callable[[ClientSession], Dialogue[object]], begin: bytes
) -> None:
    """One rule leaves a server that sends 10 octets a second, whatever it replies to."""
    line = Line(iter([(0, begin), *repeat((1, b"1 7777777."), 10_000)]))
    with pytest.raises(ReplyTimeoutError) as raised:
        line.run(ask(line.session))
    assert raised.value.id == ("greet-none" if name == "greeting" else "stalled")
    assert line.now < 1050


def test_slowest_link() -> None:
    """A satellite telephone of 2400 baud, which carries 240 octets a second, is awaited."""
    line = Line(message(b"x" * 240, 50_000, seconds=1))
    assert line.retrieve(12_000_002).octets == 12_000_002
    assert line.now > 12 * HOUR


def test_pauses() -> None:
    """A line that carries 4 kB after each long pause is awaited."""
    line = Line(message(b"x" * 4096, 10_000, seconds=19.9))
    assert line.retrieve(40_960_002).octets == 40_960_002


def test_slow_reader() -> None:
    """The time that the reader of a message needs does not count."""
    line = Line(message(b"x", 20, seconds=1), reader_seconds=HOUR)
    assert line.retrieve(22).octets == 22


def test_each_reply_has_its_own_time() -> None:
    """Commands that were sent ahead share no time: each reply may begin late."""
    line = Line(iter([(19, b"+OK\r\n")] * 100))
    assert len(line.run(pipeline(line.session.peer, [noop()] * 100, window=10_000))) == 100
    replies = [piece for _ in range(100) for piece in message(b"", 0, seconds=19)]
    line = Line(iter(replies))
    assert len(line.run(pipeline(line.session.peer, [retr(1, 2)] * 100, window=10_000))) == 100


def test_lost_command() -> None:
    """A reply that is missing to a command sent ahead of others has PIPELINING as its reason."""
    ahead = "; the command was sent ahead, since the server announces PIPELINING"
    for window, said in ((10_000, ahead), (0, "")):
        line = Line(iter([(0, b"+OK\r\n"), (HOUR, b"")]))
        with pytest.raises(ReplyTimeoutError) as raised:
            line.run(pipeline(line.session.peer, [noop(), noop()], window))
        assert raised.value.text == f"the server sent nothing for 20 seconds{said}"


def retrieve_blocking(url: str) -> None:
    with blocking.connect(url, PASSWORD, reply_seconds=0.5) as drop:
        drop[1].read()


def retrieve_asyncio(url: str) -> None:
    async def retrieve() -> None:
        async with restante.connect(url, PASSWORD, reply_seconds=0.5) as drop:
            await drop[1].read()

    asyncio.run(retrieve())


@pytest.mark.parametrize("face", [retrieve_blocking, retrieve_asyncio])
def test_both_faces(face: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Both faces of the client leave a server that is slower than the least speed."""
    monkeypatch.setattr("restante.client.deadlines.MIN_SPEED", 1000)
    with faulty_server("RETR: rate 100/s", messages=(b"x" * 400 + b"\r\n",)) as server:
        with pytest.raises(ReplyTimeoutError):
            face(server.url)


def test_commands_after_a_late_greeting() -> None:
    """A server may greet after the seconds of silence in which its port is asked what it speaks."""
    line = Line(iter([(5, b""), (1, b"+OK\r\n"), (0, b"+OK\r\n")]))
    line.run(read_greeting(line.session))
    line.run(line.session.carry_out(noop()))


def test_no_greeting_in_all_the_time() -> None:
    """If the time for all is over, nothing more is waited for."""
    line = Line(iter([(5, b"")]))
    line.session.ends = line.now + 3
    with pytest.raises(ReplyTimeoutError) as caught:
        line.run(read_greeting(line.session))
    assert caught.value.id == "out-of-time"
