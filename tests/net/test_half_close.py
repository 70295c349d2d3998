"""The end of our half of a connection."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Any

import pytest
import uvloop

from restante.net.half_close import half_close

NO_LINGER = struct.pack("ii", 1, 0)


class Recorder(asyncio.Protocol):
    """Notes that the connection is lost."""

    def __init__(self) -> None:
        self.lost = asyncio.get_running_loop().create_future()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(exc)


@pytest.mark.parametrize("loop_factory", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.parametrize("reset", [False, True])
def test_half_close(loop_factory: Any, *, reset: bool) -> None:
    """A client reads the end, unless it has reset the connection; then the server forgets it."""

    async def close() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            client = socket.create_connection(listener.getsockname())
            accepted, _ = listener.accept()
        accepted.setblocking(False)
        loop = asyncio.get_running_loop()
        transport, recorder = await loop.create_connection(Recorder, sock=accepted)
        if reset:
            transport.pause_reading()  # so only the end of our half can find it out
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
            client.close()  # the kernel knows of the reset at once, the loop at its next turn
            half_close(transport)
        else:
            half_close(transport)
            client.settimeout(10)
            assert await asyncio.to_thread(client.recv, 1) == b""
            client.close()
        await asyncio.wait_for(recorder.lost, 10)

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(close())
