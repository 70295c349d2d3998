"""The driver's own rules: one write a batch, no more reading while replies are unsent, IPv6."""

from __future__ import annotations

import asyncio
import socket

import pytest

from restante.protocol.server.maildrop import PART
from restante.protocol.server.settings import ProtocolSettings
from restante.server.config.addresses import ListenAddress
from restante.server.connection.connection import Connection
from restante.server.connection.transport import PLAIN, ClientTransport
from restante.server.connection.write_buffer import BATCH, WriteBuffer
from restante.server.context import ServerContext
from restante.server.listener import ListenConfig, ListenError, serve_listeners
from restante.server.log import event_log
from restante.storage.memory import MemoryStore
from support.clocked_server import clocked
from support.passwords import Passwords


def context() -> ServerContext:
    log, writer = event_log.configure_log("text")
    writer.close()
    return ServerContext(
        store=MemoryStore(), authenticator=Passwords(), log=log, settings=ProtocolSettings()
    )


class Transport(asyncio.Transport):
    """Notes what is written."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1)})
        self.writes: list[bytes] = []
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.writes.append(bytes(data))

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def get_write_buffer_size(self) -> int:
        return 0


def test_a_pipelined_batch_is_answered_in_one_write() -> None:
    """Pipelined commands are answered in one write."""

    async def run() -> list[bytes]:
        connection = Connection(context())
        transport = Transport()
        connection.connection_made(transport)
        connection.data_received(b"CAPA\r\n" * 5 + b"USER ann\r\nQUIT\r\n")
        connection.connection_lost(None)
        return transport.writes

    greeting, batch = asyncio.run(run())
    assert greeting == b"+OK POP3 server ready.\r\n"
    assert batch.count(b"+OK Capability list follows") == 5
    assert batch.endswith(b"+OK\r\n+OK Logging out.\r\n")


def test_long_replies_are_written_in_parts() -> None:
    """At most 64 KiB of replies are gathered: pipelined commands must not cost more memory."""
    transport = Transport()
    buffer = WriteBuffer(transport, ClientTransport(transport, PLAIN))
    for _ in range(5):
        buffer.add(b"x" * (BATCH // 2))
    buffer.flush()
    assert [len(octets) for octets in transport.writes] == [BATCH, BATCH, BATCH // 2]
    assert buffer.octets == 5 * BATCH // 2


@pytest.mark.parametrize("end", [b"", b"\r\n"])
def test_evolution(end: bytes) -> None:
    """UTF8 without a line end is answered, and the next command is read: policy/unended-utf8."""
    with clocked() as server:
        client = server.connect()
        client.say(b"CAPA\r\n")
        assert client.say(b"UTF8").startswith(b"+OK")
        assert client.say(end + b"AUTH PLAIN\r\n") == b"+ \r\n"
        assert client.say(b"AGFubgBzZWNyZXQ=\r\n").startswith(b"+OK")


def test_a_response_that_begins_like_a_command() -> None:
    """A response of AUTH whose first piece is UTF8 is one line: policy/unended-utf8."""
    with clocked() as server:
        client = server.connect()
        client.say(b"AUTH LOGIN\r\n")
        assert client.say(b"UTF8") == b""
        assert client.say(b"YW5u\r\n") == b"+ UGFzc3dvcmQ6\r\n"


def test_huge_listing_beside_another_client() -> None:
    """A command of another client is answered before a huge listing is complete."""
    store = MemoryStore()

    async def fill() -> None:
        for _ in range(PART + 1):
            await store.deliver("ann", b"")

    with clocked(store=store) as server:
        server.loop.run_until_complete(fill())
        huge, other = server.connect(), server.connect()
        huge.say(b"USER ann\r\nPASS secret\r\n")

        def list_beside() -> tuple[bytes, bytes]:
            before = len(huge.heard), len(other.heard)
            huge.connection.data_received(b"UIDL\r\n")
            other.connection.data_received(b"CAPA\r\n")
            return huge.heard[before[0] :], other.heard[before[1] :]

        early, answer = server.loop.do(list_beside)
        assert (early, answer[-5:]) == (b"", b"\r\n.\r\n")
        assert huge.heard.count(b"\r\n") > PART


def test_it_serves_ipv6_too() -> None:
    """The server serves clients over IPv6."""

    async def run() -> bytes:
        async with serve_listeners(context(), [ListenConfig(ListenAddress("::1", 0))]) as sockets:
            port = sockets[0].getsockname()[1]
            reader, writer = await asyncio.open_connection("::1", port)
            line = await reader.readline()
            writer.close()
            await writer.wait_closed()
            return line

    assert asyncio.run(run()) == b"+OK POP3 server ready.\r\n"


def test_all_addresses_means_ipv4_and_ipv6() -> None:
    """`*` listens on IPv4 and IPv6."""

    async def run() -> set[int]:
        async with serve_listeners(context(), [ListenConfig(ListenAddress("", 0))]) as sockets:
            return {sock.family for sock in sockets}

    assert asyncio.run(run()) == {socket.AF_INET, socket.AF_INET6}


def test_one_address_that_is_taken_closes_the_others_too() -> None:
    """If one address is in use, the others are closed again."""

    async def run(taken: int) -> None:
        addresses = [ListenConfig(ListenAddress("127.0.0.1", port)) for port in (0, taken)]
        async with serve_listeners(context(), addresses):
            pytest.fail("it should not listen")

    with (
        socket.create_server(("127.0.0.1", 0)) as blocker,
        pytest.raises(ListenError, match="in use"),
    ):
        asyncio.run(run(blocker.getsockname()[1]))
