"""Clients of all kinds in a process of their own, until SIGTERM: clients.py JSON.

Each client has a kind and, where it logs in, an account of its own; it connects again and again.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import os
import random
import resource
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from soak.mail import BIG, SMALL, Ledger, deliver, messages, on_wire
from soak.session import GoneError, Place, Talk, talking

PASSWORD = "secret"


@dataclass(frozen=True, slots=True)
class Crowd:
    """The clients of one process. `first` is the number of its first client."""

    port: int
    tls_port: int
    folder: str
    first: int
    clients: int
    hold: float  # seconds: how long a client may take over what needs no time

    @property
    def place(self) -> Place:
        return Place(self.port, self.tls_port)


class Player:
    """One client."""

    def __init__(self, crowd: Crowd, number: int, ledger: Ledger) -> None:
        self.crowd = crowd
        self.user = f"u{number}"
        self.maildir = Path(crowd.folder, "mail", self.user)
        self.ledger = ledger
        self.chance = random.Random(f"{number} {os.getpid()}")
        self.kind = list(KINDS)[number % len(KINDS)]
        self.tls = bool(crowd.tls_port) and number // len(KINDS) % 3 == 0

    async def play(self) -> None:
        """Be one client after the other. A surprise is a problem, and is written down."""
        await self.linger()
        while True:
            try:
                async with talking(self.crowd.place, tls=self.tls) as talk:
                    done = await KINDS[self.kind](self, talk)
                self.ledger.note("session", self.user, done or self.kind)
            except GoneError:
                self.ledger.note("session", self.user, f"{self.kind}: turned away before a login")
            except Exception as error:  # noqa: BLE001  # any error is reported
                self.ledger.note("problem", self.user, f"{self.kind}: {error!r}")
                await asyncio.sleep(1)
            await asyncio.sleep(self.chance.uniform(0, 1))

    async def enter(self, talk: Talk) -> bool:
        """Log in, and take a while, as over a slow line; return False where another is in."""
        entered = await talk.log_in(self.user, PASSWORD)
        await self.linger()
        return entered

    async def linger(self) -> None:
        await asyncio.sleep(self.chance.uniform(0, self.crowd.hold))

    async def fetch(self, talk: Talk, number: int) -> str:
        """Fetch a message, compare it octet for octet, and return its unique-id."""
        name = (await talk.say(f"UIDL {number}")).split()[2].decode()
        status = await talk.say(f"RETR {number}")
        assert status == f"+OK {len(on_wire(name))} octets\r\n".encode(), status
        assert await talk.rest() == on_wire(name), f"{name} has other octets"
        return name

    def refill(self) -> None:
        """Deliver until there are two messages again."""
        for _ in range(2 - len(dict(messages(self.maildir)))):
            self.ledger.note("delivered", self.user, deliver(self.maildir, SMALL))

    async def leave(self, talk: Talk) -> None:
        status = await talk.say("QUIT")
        assert status.startswith(b"+OK"), status

    async def count(self, talk: Talk) -> int:
        return int((await talk.say("STAT")).split()[1])


async def poll(me: Player, talk: Talk) -> str | None:
    """See whether there is mail."""
    if not await me.enter(talk):
        return IN_USE
    there = dict(messages(me.maildir))
    assert await me.count(talk) == len(there)
    await talk.say("UIDL")
    assert len((await talk.rest()).splitlines()) == len(there)
    await me.leave(talk)
    return None


async def drain(me: Player, talk: Talk) -> str | None:
    """Fetch all and delete all; as much is delivered afterwards."""
    if not await me.enter(talk):
        return IN_USE
    count = await me.count(talk)
    names = [await me.fetch(talk, number) for number in range(1, count + 1)]
    for number in range(1, count + 1):
        await talk.say(f"DELE {number}")
    me.ledger.note("asked", me.user, *names)
    await me.leave(talk)
    me.ledger.note("removed", me.user, *names)
    me.refill()
    return None


async def top(me: Player, talk: Talk) -> str | None:
    """Read the first lines of all."""
    if not await me.enter(talk):
        return IN_USE
    await talk.say("LIST")
    for line in (await talk.rest()).splitlines():
        status = await talk.say(f"TOP {line.split()[0].decode()} 5")
        assert status.startswith(b"+OK"), status
        assert (await talk.rest()).count(b"\n") == 8
    await me.leave(talk)
    return None


async def pipeline(me: Player, talk: Talk) -> str | None:
    """Say all at once, deletion included."""
    if not await me.enter(talk):
        return IN_USE
    if not await me.count(talk):  # the process that played this before was killed
        me.refill()
        return None
    name = (await talk.say("UIDL 1")).split()[2].decode()
    me.ledger.note("asked", me.user, name)
    await talk.say("STAT", "LIST", "RETR 1", "NOOP", "DELE 1", "QUIT")
    await talk.line()
    await talk.rest()
    await talk.line()
    assert await talk.rest() == on_wire(name)
    for _ in ("NOOP", "DELE", "QUIT"):
        assert (await talk.line()).startswith(b"+OK")
    me.ledger.note("removed", me.user, name)
    me.refill()
    return None


async def reset(me: Player, talk: Talk) -> str | None:
    """Mark all as deleted, and break off with RST in the midst of a message."""
    if not await me.enter(talk):
        return IN_USE
    await talk.say("DELE 2")
    await talk.say("RETR 1")
    talk.reset()
    return None


async def half_close(me: Player, talk: Talk) -> str | None:
    """Mark all as deleted, close our half in the midst of QUIT, and read on: nothing goes."""
    if not await me.enter(talk):
        return IN_USE
    talk.send(b"DELE 1\r\nRETR 2\r\nQUI")
    if talk.writer.can_write_eof():
        talk.writer.write_eof()
    await talk.line()
    await talk.line()
    await talk.rest()
    return None


async def slow(me: Player, talk: Talk) -> str | None:
    """Ask for big messages many times over, and read in sips, for a while."""
    if not await me.enter(talk):
        return IN_USE
    talk.send(b"RETR 1\r\n" * 5)
    try:
        async with asyncio.timeout(me.crowd.hold):
            await talk.slow(2048, 0.05)
    except TimeoutError:
        return None
    raise EOFError("the server hung up on a slow reader")


async def idle(me: Player, talk: Talk) -> str | None:
    """Log in, and say next to nothing for a while."""
    if not await me.enter(talk):
        return IN_USE
    for _ in range(3):
        await talk.say("NOOP")
        await me.linger()
    await me.leave(talk)
    return None


async def silent(me: Player, talk: Talk) -> str | None:
    """Never speak, until the server's patience ends."""
    await talk.line()
    await talk.slow(100, 0)
    return None


async def babble(me: Player, talk: Talk) -> str | None:
    """Send octets other than POP3 until the server hangs up."""
    await talk.line()
    await me.linger()
    talk.send(me.chance.randbytes(3000) + b"\r\n" * 20 + b"x" * 100_000)
    try:
        await talk.slow(4096, 0)
    except OSError:
        return "babble, reset"
    return None


async def vanish(me: Player, talk: Talk) -> str | None:
    """Go without a word: before a login, and in the midst of a message."""
    if me.chance.random() < 0.5:
        await talk.line()
        return None if talk.vanish() else "vanish: not permitted here"
    if not await me.enter(talk):
        return IN_USE
    talk.send(b"DELE 2\r\n" + b"RETR 1\r\n" * 5)
    return None if talk.vanish() else "vanish: not permitted here"


IN_USE = "another session held the maildrop"

KINDS: dict[str, Callable[[Player, Talk], Awaitable[str | None]]] = {
    "poll": poll,
    "drain": drain,
    "top": top,
    "pipeline": pipeline,
    "reset": reset,
    "half-close": half_close,
    "slow": slow,
    "idle": idle,
    "silent": silent,
    "babble": babble,
    "vanish": vanish,
}
BIG_ONES = ("slow", "reset", "vanish")


def prepare(crowd: Crowd, ledger: Ledger) -> None:
    """Give each client's account two messages, big ones to those that read them slowly."""
    for number in range(crowd.first, crowd.first + crowd.clients):
        me = Player(crowd, number, ledger)
        for part in ("tmp", "new", "cur"):
            (me.maildir / part).mkdir(parents=True)
        lines = BIG if me.kind in BIG_ONES else SMALL
        names = [deliver(me.maildir, lines), deliver(me.maildir, SMALL)]
        ledger.note("delivered", me.user, *names)


async def run(crowd: Crowd, ledger: Ledger) -> None:
    """Play until SIGTERM, or until the parent process is gone."""
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    numbers = range(crowd.first, crowd.first + crowd.clients)
    playing = [asyncio.create_task(Player(crowd, n, ledger).play()) for n in numbers]
    parent = os.getppid()
    while not over.is_set() and os.getppid() == parent:  # no process outlives its parent
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), 1)
    for task in playing:
        task.cancel()
    await asyncio.gather(*playing, return_exceptions=True)


def main() -> None:
    """Play what the argument says."""
    crowd = Crowd(**json.loads(sys.argv[1]))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    ledger = Ledger(Path(crowd.folder, f"{os.getpid()}.ledger"))
    asyncio.run(run(crowd, ledger))


def command(crowd: Crowd) -> list[str]:
    """Return what starts such a process."""
    return [sys.executable, __file__, json.dumps(dataclasses.asdict(crowd))]


if __name__ == "__main__":
    main()
