"""Random walks: clients that come, say anything, vanish and stay, on a clock that a walk moves.

The parts of the server are real. What they wait for, the accounts and the store, ends when the walk
says so, or fails. Each walk follows from its seed. At its end all clients are gone, or stay and
read nothing, and all that was counted, locked or begun must have come to its end.
"""

from __future__ import annotations

import asyncio
import io
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

from restante.auth.interfaces import CredentialsError, UnavailableError
from restante.auth.passwords import scram
from restante.protocol.secret import Secret
from restante.protocol.server.maildrop import MessageList
from restante.protocol.server.settings import Identity
from restante.server.log import event_log
from restante.storage.errors import FullError, StoreError
from restante.storage.interfaces import LockedMaildrop
from restante.storage.memory import MemoryStore
from soak.walk_transport import WalkTransport
from support.clocked_server import Loop
from support.passwords import quick_keys

USERS = ("ann", "bob")
PASSWORD = b"secret"
MAIL = (b"Subject: a\n\nhello\n", b"x" * 3000 + b"\n", b"y\n" * 2000)
STEPS = 150  # of a walk
MOST = 8  # clients at once
PURPOSE = "on purpose"  # the text of errors that accounts and store raise
UNFORESEEN = (KeyError, TimeoutError, asyncio.CancelledError)  # incidents, by intention
LONG = 30  # seconds: 60 of these are longer than each timeout of the server


class Gates:
    """The waits of accounts and store, which end one by one."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._waiting: list[asyncio.Future[None]] = []
        self._open = False
        self.bodies = 0  # that are not closed

    async def wait(self, *errors: type[Exception]) -> None:
        """Wait until the gate is opened, or not at all; fail at times."""
        if self._open:
            return
        if self._rng.random() < 0.7:
            gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(gate)
            await gate
        if self._rng.random() < 0.1 and not self._open:
            raise self._rng.choice((*errors, *UNFORESEEN))(PURPOSE)

    def open_one(self) -> None:
        """End one of the waits."""
        self._waiting = [gate for gate in self._waiting if not gate.done()]
        if self._waiting:
            self._rng.choice(self._waiting).set_result(None)

    def close_all(self) -> None:
        """Let later calls wait again."""
        self._open = False

    def open_all(self) -> None:
        """End all waits, also later ones."""
        self._open = True
        for gate in self._waiting:
            if not gate.done():
                gate.set_result(None)


class WalkAccounts:
    """Accounts that wait."""

    at_once = 2

    def __init__(self, gates: Gates) -> None:
        self._gates = gates

    async def verify(self, user: str, password: Secret) -> Identity:
        await self._gates.wait(UnavailableError)
        if password.reveal() != PASSWORD:
            raise CredentialsError("wrong password")
        return await self.identify(user)

    async def scram_keys(self, mechanism: str, user: str) -> scram.ScramKeys:
        await self._gates.wait(UnavailableError)
        return quick_keys(mechanism, PASSWORD)

    async def identify(self, user: str) -> Identity:
        await self._gates.wait(UnavailableError)
        if user not in USERS:
            raise CredentialsError("unknown name")
        return Identity(user)

    async def owner(self, name: str) -> str | None:
        await self._gates.wait(UnavailableError)
        return name if name in USERS else None


class WalkBody:
    """A message that comes piece by piece."""

    def __init__(self, gates: Gates, message: bytes) -> None:
        self._gates = gates
        self._message = message
        self._closed = False
        gates.bodies += 1

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for begin in range(0, len(self._message), 400):
            await self._gates.wait(StoreError)
            yield self._message[begin : begin + 400]

    async def aclose(self) -> None:
        if not self._closed:
            self._closed = True
            self._gates.bodies -= 1


class WalkStore(MemoryStore):
    """A store that waits, and counts the maildrops that are held."""

    def __init__(self, gates: Gates) -> None:
        super().__init__()
        self.gates = gates
        self.held = 0

    async def acquire(self, owner: str, patience: float) -> LockedMaildrop:  # type: ignore[override]
        await self.gates.wait(StoreError)
        inner = await super().acquire(owner, patience)
        try:
            await self.gates.wait(StoreError)
        except BaseException:
            inner.release()
            raise
        return WalkMaildrop(self, inner)

    async def deliver(self, owner: str, message: bytes) -> str:
        await self.gates.wait(StoreError, FullError)
        return await super().deliver(owner, message)


class WalkMaildrop:
    def __init__(self, store: WalkStore, inner: LockedMaildrop) -> None:
        self._store = store
        self._inner = inner
        store.held += 1

    @property
    def contents(self) -> MessageList:
        return self._inner.contents

    def read(self, index: int, lines: int | None = None) -> Any:
        message = self._inner.read(index, lines)
        assert isinstance(message, bytes)
        return message if index == 0 else self._open(message)

    async def _open(self, message: bytes) -> WalkBody:
        await self._store.gates.wait(StoreError)
        return WalkBody(self._store.gates, message)

    async def remove(self, indexes: Sequence[int]) -> None:
        await self._store.gates.wait(StoreError)
        await self._inner.remove(indexes)

    async def correct_sizes(self, sizes: Mapping[int, int]) -> None:
        await self._store.gates.wait(StoreError)
        await self._inner.correct_sizes(sizes)

    def release(self) -> None:
        self._store.held -= 1
        self._inner.release()


class Walk:
    """One walk. A subclass says what is connected to, what clients say, and what must hold."""

    vocabulary: Sequence[bytes] = ()

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(f"{type(self).__name__} {seed}")
        self.lines = io.StringIO()
        self.log, _ = event_log.configure_log("text", self.lines, threaded=False)
        self.loop = Loop()
        self.loop.set_exception_handler(self._note_error)
        self.gates = Gates(self.rng)
        self.store = WalkStore(self.gates)
        self.peers: list[WalkTransport] = []
        self.errors: list[str] = []
        self.prepare()

    def prepare(self) -> None:
        """Make what the clients share."""
        raise NotImplementedError

    def connect(self) -> WalkTransport:
        """Return a new connection, whose protocol is made."""
        raise NotImplementedError

    def administer(self, peer: WalkTransport) -> Callable[[], object] | None:
        """Return something that an administrator may do to a connection, None for nothing."""

    def check(self) -> None:
        """Check what must hold once nothing is left."""

    def run(self) -> None:
        """Walk to the end, and check what is left."""
        for _ in range(STEPS):
            self._step()
        self._leave()
        self._finish()
        self.check()
        assert not self.errors
        assert all(peer.lost for peer in self.peers)
        assert self.gates.bodies == 0
        assert self.store.held == 0
        assert not asyncio.all_tasks(self.loop)
        log = self.lines.getvalue()
        assert PASSWORD.decode() not in log
        incidents = [line for line in log.splitlines() if "event=incident" in line]
        assert all(PURPOSE in line for line in incidents)
        self.loop.close()

    def do(self, work: Callable[..., Any], *arguments: Any) -> None:
        """Do something in the loop, and nothing of what follows from it."""
        self.loop.call_soon(work, *arguments)
        self.turn(1)

    def turn(self, times: int) -> None:
        """Let the loop do what is due, this number of times."""
        for _ in range(times):
            self.loop.call_soon(self.loop.stop)
            self.loop.run_forever()

    def fulfil(self, work: Awaitable[Any]) -> Any:
        """Return the result of something that needs no wait."""
        return self.loop.run_until_complete(work)

    def dial(self) -> WalkTransport:
        """Connect a client."""
        peer = self.connect()
        peer.lazy = self.rng.random() < 0.5
        self.peers.append(peer)
        self.do(peer.protocol.connection_made, peer)
        return peer

    def _step(self) -> None:
        rng = self.rng
        live = [peer for peer in self.peers if not peer.lost]
        if not live or (rng.random() < 0.12 and len(live) < MOST):
            live = [self.dial()]
        peer = rng.choice(live)
        step = rng.choices(
            (self._say, self._read_no_more, self._take, self._reset, self._end, self._wait,
             self._administer),
            (50, 5, 7, 4, 4, 16, 6),
        )[0]  # fmt: skip
        step(peer)
        self.turn(rng.choice((0, 0, 1, 1, 2, 4, 20)))

    def _say(self, peer: WalkTransport) -> None:
        """Say something, whole or in part, with or without a reset right after it."""
        octets = self.rng.choice(self.vocabulary)
        if self.rng.random() < 0.15:
            octets = octets[: self.rng.randrange(len(octets)) + 1]
        if self.rng.random() < 0.12:
            peer.gone = True
        self.do(peer.say, octets)
        if peer.gone and self.rng.random() < 0.5:
            self.do(peer.reset)

    def _read_no_more(self, peer: WalkTransport) -> None:
        peer.reads = False

    def _take(self, peer: WalkTransport) -> None:
        peer.reads = True
        self.do(peer.take)

    def _reset(self, peer: WalkTransport) -> None:
        peer.gone = True
        if self.rng.random() < 0.7:
            self.do(peer.reset)

    def _end(self, peer: WalkTransport) -> None:
        self.do(peer.end)

    def _wait(self, _peer: WalkTransport) -> None:
        """Let time pass, or something of accounts and store come to its end."""
        if self.rng.random() < 0.6:
            self.gates.open_one()
        else:
            self.loop.now += self.rng.choice((0.01, 0.5, 3, 15, 40, 200))

    def _administer(self, peer: WalkTransport) -> None:
        work = self.administer(peer)
        if work is not None:
            self.do(work)

    def _leave(self) -> None:
        """Let all clients reset their connections, or stay and read nothing."""
        stays = self.rng.random() < 0.4
        for peer in self.peers:
            if stays:
                peer.reads = False
            else:
                self.do(peer.reset)

    def _finish(self) -> None:
        """Let all that waits come to its end, at first one by one, and then all timeouts end."""
        for _ in range(20):
            self.gates.open_one()
            self.turn(3)
        self.gates.open_all()
        for _ in range(60):
            self.loop.now += LONG
            self.turn(8)

    def _note_error(self, _loop: object, context: Mapping[str, Any]) -> None:
        self.errors.append(f"{context['message']}: {context.get('exception')!r}")
