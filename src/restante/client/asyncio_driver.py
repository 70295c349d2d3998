"""The asyncio driver: the same dialogues on an asyncio stream."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from restante.client import name_resolution
from restante.client.deadlines import seconds_until
from restante.client.io import (
    PIECE,
    ClientIO,
    Finished,
    ReadBytes,
    RunWork,
    WriteBytes,
    advance,
    begin_race,
    seconds_to_connect,
)
from restante.net import connecting, daemon_threads
from restante.protocol.client.effects import MessageChunk
from restante.protocol.errors import LocalError

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncGenerator, Callable

    from restante.client.io import IOEffect, IOSteps
    from restante.client.session import ClientSession
    from restante.protocol.client.effects import Dialogue

T = TypeVar("T")

OTHER_LOOP = "this connection belongs to another event loop; connect again in this one"


class AsyncioDriver:
    """A connection, on which `run` carries out dialogues."""

    def __init__(
        self, session: ClientSession, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.session = session
        self._io = ClientIO(session)
        self._reader, self._writer = reader, writer
        self._loop = asyncio.get_running_loop()

    @property
    def io(self) -> ClientIO:
        """The parts that both drivers share: replies, TLS and the time that is left."""
        return self._io

    async def begin(self) -> None:
        """Start TLS if the account uses implicit TLS. Raises RemoteError."""
        if self.session.target.tls == "implicit":
            await self._drive(self._io.start_tls())

    async def run(self, dialogue: Dialogue[T]) -> T:
        """Carry out a dialogue and return its result. Raises RemoteError."""
        return await self._drive(self._io.run(dialogue))

    def pieces(self, dialogue: Dialogue[T], ended: list[T]) -> AsyncGenerator[bytes, None]:
        """Yield the chunks of a dialogue; its result is appended to `ended`. Raises RemoteError."""
        return self._pieces(self._io.run(dialogue), ended)

    def limit_reply_timeout(self, seconds: float) -> None:
        """Wait at most `seconds` for each reply from now on."""
        self._io.limit_reply_timeout(seconds)

    def close(self) -> None:
        """Close the connection at once, also with unsent octets.

        Any thread may call it. The copy of a child that was forked is closed when the child ends.
        """
        self.session.peer.broken = True
        if self._io.is_copy:
            return
        if self._is_in_own_loop():
            self._close()
        else:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._close)

    def _is_in_own_loop(self) -> bool:
        try:
            return asyncio.get_running_loop() is self._loop
        except RuntimeError:  # no loop runs in this thread
            return False

    def _close(self) -> None:
        if self._writer.is_closing():
            return
        with contextlib.suppress(OSError):
            self._writer.write(self._io.tls_close_notify())
        self._writer.close()
        if self._writer.transport.get_write_buffer_size():
            self._writer.transport.abort()

    async def _drive(self, steps: IOSteps[T]) -> T:
        ended: list[T] = []
        async for _ in self._pieces(steps, ended):
            pass
        return ended[0]

    async def _pieces(self, steps: IOSteps[T], ended: list[T]) -> AsyncGenerator[bytes, None]:
        """Carry out the effects. Leaving in the middle of a reply closes the connection.

        Raises LocalError: the call is not in the event loop that connected.
        """
        if not self._is_in_own_loop() and not self._io.is_copy:
            raise LocalError(OTHER_LOOP)
        try:
            effect = advance(steps, None)
            while not isinstance(effect, Finished):
                if isinstance(effect, MessageChunk):
                    yield effect.octets
                effect = advance(steps, await self._answer(effect))
            ended.append(effect.value)
        finally:
            steps.close()
            if self._io.broken_off:
                self.close()

    async def _answer(self, effect: IOEffect) -> bytes | OSError:
        if isinstance(effect, MessageChunk):
            return b""
        try:
            return await self._perform(effect)
        except OSError as error:
            return error

    async def _perform(self, effect: WriteBytes | ReadBytes | RunWork) -> bytes:
        seconds = seconds_until(effect.until)
        if seconds == 0:
            await _turn()
        async with asyncio.timeout(seconds):
            if isinstance(effect, RunWork):
                await run_in_thread(effect.work)
                return b""
            if isinstance(effect, ReadBytes):
                return await self._reader.read(PIECE)
            if not self._writer.is_closing():  # uvloop raises RuntimeError then
                self._writer.write(effect.octets)
            await self._writer.drain()
        return b""


async def run_in_thread(work: Callable[[], T]) -> T:
    """Run work in a thread. Neither a cancellation nor the end of the loop waits for it."""
    return await asyncio.wrap_future(daemon_threads.start_future(work))


async def _turn() -> None:
    """Let the event loop read octets that have arrived."""
    await asyncio.sleep(0)  # the loop finds sockets with octets
    await asyncio.sleep(0)  # the loop reads from them


async def dial(session: ClientSession) -> AsyncioDriver:
    """Return a connection to the first address that accepts one. Raises RemoteError."""
    target, options = session.target, session.options
    seconds = seconds_to_connect(session)
    resolve = partial(name_resolution.addresses, target, options, seconds)
    race = begin_race(session, await run_in_thread(resolve))
    won = session.take_connection(race, await _run_race(race))
    try:
        streams = await asyncio.open_connection(sock=won.sock)
    except BaseException:
        won.sock.close()
        raise
    driver = AsyncioDriver(session, *streams)
    try:
        await driver.begin()
    except BaseException:
        driver.close()
        raise
    return driver


async def _run_race(race: connecting.Race) -> connecting.Won | None:
    """Return the first connection of a race, or None."""
    steps = race.run()
    try:
        wait = next(steps)
        while True:
            wait = steps.send(await _wait_for_sockets(wait))
    except StopIteration as done:
        won: connecting.Won | None = done.value
        return won
    finally:
        steps.close()


async def _wait_for_sockets(wait: connecting.WaitForSockets) -> list[socket.socket]:
    """Return the sockets that are connected or have failed, as soon as there are any."""
    loop = asyncio.get_running_loop()
    ready: list[socket.socket] = []
    some_ready = asyncio.Event()

    def note(sock: socket.socket) -> None:
        loop.remove_writer(sock)
        ready.append(sock)
        some_ready.set()

    for sock in wait.sockets:
        loop.add_writer(sock, note, sock)
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait.seconds):
                await some_ready.wait()
    finally:
        for sock in wait.sockets:
            loop.remove_writer(sock)
    return ready
