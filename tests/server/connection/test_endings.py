"""However a connection ends, QUIT alone removes mail, and the lock is free:
rfc1939-s6/only-quit-removes.
"""

from __future__ import annotations

import asyncio
import functools
import socket
from typing import Any

import pytest

from restante.server.connection.connection import Connection
from restante.server.connection.keepalive import LONGEST_SILENCE
from restante.server.connection.phases import ConnectionPhase as Phase
from restante.server.limits.server_limits import ServerLimits
from restante.storage.errors import PartialRemovalError, StoreError
from server.doubles import ScriptedStore, SlowAccounts
from support.clocked_server import ADDRESS, CLEAR, Peer, clocked
from support.live import Client, Live, serving, wait_until

LETTER = b"Subject: a\n\nhello\n"


def wait_for_phase(live: Live, phase: Phase) -> None:
    """Wait until some connection is in a phase."""
    wait_until(
        lambda: any(
            isinstance(connection, Connection) and connection.phase is phase
            for connection in live.context.connections
        )
    )


def count(live: Live) -> bytes:
    with live.connect() as client:
        client.log_in("ann", "secret")
        return client.say("STAT")


def test_half_close_runs_commands() -> None:
    """policy/half-close: whole commands before a half-close are carried out and answered."""
    with serving() as live:
        live.add("ann", "secret", LETTER, LETTER)
        with live.connect() as client:
            client.send(b"USER ann\r\nPASS secret\r\nRETR 2\r\nDELE 1\r\nQUIT\r\n")
            client.socket.shutdown(socket.SHUT_WR)
            said = client.read_all()
        assert said.endswith(b"\r\n.\r\n+OK Marked to be deleted.\r\n+OK Logging out.\r\n")
        assert count(live) == b"+OK 1 21\r\n"


@pytest.mark.parametrize("last", [b"", b"QUIT", b"QUI", b"QUIT\r"])
@pytest.mark.parametrize("end", ["half-close", "close", "reset"])
def test_without_a_whole_quit_nothing_is_removed(last: bytes, end: str) -> None:
    """implied/broken-connection, policy/half-close."""
    with serving() as live:
        live.add("ann", "secret", LETTER)
        client = live.connect()
        client.log_in("ann", "secret")
        client.say("DELE 1")
        client.send(last)
        if end == "half-close":
            client.socket.shutdown(socket.SHUT_WR)
            assert client.read_all() == b""
        (Client.reset if end == "reset" else Client.close)(client)
        wait_until(lambda: not live.context.connections)
        assert count(live) == b"+OK 1 21\r\n"


def test_reset_within_message() -> None:
    """A reset within a message unlocks the maildrop."""
    with serving() as live:
        live.add("ann", "secret", b"x" * 20_000_000)
        client = live.connect()
        client.log_in("ann", "secret")
        client.send(b"RETR 1\r\n")
        client.read_line()
        client.reset()
        wait_until(lambda: not live.context.connections)
        assert count(live) == b"+OK 1 20000002\r\n"


def test_client_leaves_during_login() -> None:
    """A client that leaves while its password is checked leaves nothing locked."""
    accounts = SlowAccounts()
    with serving(authenticator=accounts) as live:
        client = live.connect()
        client.send(b"USER ann\r\nPASS secret\r\n")
        wait_until(lambda: accounts.asked)
        client.reset()
        wait_until(lambda: not live.context.connections)
        live.loop.call_soon_threadsafe(accounts.gate.set)
        assert count(live) == b"+OK 0 0\r\n"


def test_client_leaves_during_lock_wait() -> None:
    """A client that leaves while it waits for the lock does not hold it later."""
    with serving(lock_timeout=20) as live:
        live.add("ann", "secret", LETTER)
        first, second = live.connect(), live.connect()
        first.log_in("ann", "secret")
        second.read_line()
        second.say("USER ann")
        second.send(b"PASS secret\r\n")
        wait_for_phase(live, Phase.WORKING)
        second.reset()
        first.say("QUIT")
        wait_until(lambda: not live.context.connections)
        assert count(live) == b"+OK 1 21\r\n"
        first.close()


UPDATES = {
    "done": (None, 0, ["deleted=1", "end=quit"]),
    "part": (PartialRemovalError("in part", [0]), 1, ["deleted=0", 'end="update failed"']),
    "down": (StoreError("EIO"), 1, ["deleted=0", 'end="update failed"']),
}


@pytest.mark.parametrize(("error", "left", "logged"), UPDATES.values(), ids=list(UPDATES))
def test_update_without_client(error: Exception | None, left: int, logged: list[str]) -> None:
    """An update is finished although the client has left, and the log says what became of it."""
    store = ScriptedStore()
    with serving(store=store) as live:
        live.add("ann", "secret", LETTER)
        store.remove_error = error
        store.gate = asyncio.Event()
        client = live.connect()
        client.log_in("ann", "secret")
        client.send(b"DELE 1\r\nQUIT\r\n")
        wait_until(lambda: store.removing)
        client.reset()
        wait_for_phase(live, Phase.LOST)
        live.loop.call_soon_threadsafe(store.gate.set)
        wait_until(lambda: not live.context.connections)
        assert count(live) == b"+OK %d %d\r\n" % (left, 21 * left)
        live.wait_for_log(*logged)


class PeerThatLeaves(Peer):
    """A client whose end is noticed at the next reply."""

    gone = False

    def write(self, data: Any) -> None:
        if self.gone:
            self.abort()
        else:
            super().write(data)


@pytest.mark.parametrize("end", ["reset", "abort"])
def test_client_leaves_before_its_login_begins(end: str) -> None:
    """A reset that comes with the commands ends the session, and so does a stop at that time."""
    with clocked(limits=ServerLimits.create(connections=1)) as server:
        connect = functools.partial(Connection, server.context, CLEAR)
        peer = PeerThatLeaves(server.loop, connect, ADDRESS)

        def arrive() -> None:
            peer.gone = end == "reset"
            peer.connection.data_received(b"USER ann\r\nPASS secret\r\n")
            if end == "abort":
                peer.connection.abort()

        server.loop.do(arrive)
        assert len(server.context.connections) == 0
        assert len(server.ended()) == 1
        assert server.connect().say(b"USER ann\r\nPASS secret\r\n").endswith(b"Logged in.\r\n")


@pytest.mark.parametrize("turns", [0, 20])
def test_update_while_server_stops(turns: int) -> None:
    """An update that outlives the time of a stop is logged as done: the mail is gone."""
    store = ScriptedStore()
    with clocked(store=store) as server:
        server.loop.run_until_complete(store.deliver("ann", LETTER))
        store.gate = asyncio.Event()
        peer = server.connect()
        peer.say(b"USER ann\r\nPASS secret\r\nDELE 1\r\nQUIT\r\n")
        assert store.removing
        peer.connection.abort()
        if turns:  # then the connection is lost before the update has ended
            server.loop.turn()
        server.loop.do(store.gate.set)
        server.loop.turn()
        assert server.ended() == ["quit"]
        assert "deleted=1" in server.log.getvalue()


def test_no_task_is_left_when_all_have_gone() -> None:
    """After all clients have left, no task remains."""
    with serving() as live:
        live.add("ann", "secret", LETTER)
        for end in (Client.close, Client.reset) * 5:
            client = live.connect()
            client.log_in("ann", "secret")
            client.send(b"RETR 1\r\n" * 3)
            end(client)

        async def tasks() -> int:
            return len(asyncio.all_tasks()) - 1

        before = 1  # the one that serves
        wait_until(lambda: not live.context.connections)
        assert live.call(tasks()) == before


LOG_IN = b"USER ann\r\nPASS secret\r\n"
KICKED = ["ended by an administrator"]


def test_kick() -> None:
    """A kick ends the sessions of its users that began before, and removes no mail."""
    with clocked() as server:
        server.loop.run_until_complete(server.context.store.deliver("ann", LETTER))
        peer, other = server.connect(), server.connect()
        peer.say(LOG_IN)
        assert peer.say(b"DELE 1\r\n") == b"+OK Marked to be deleted.\r\n"
        server.kick({"ann": server.loop.now, "bob": server.loop.now + 1})
        assert server.ended() == []
        server.kick({"ann": server.loop.now + 1})
        assert server.ended() == KICKED
        assert other.say(LOG_IN + b"STAT\r\n").endswith(b"+OK 1 21\r\n")


def test_kick_during_replies() -> None:
    """A client gets the replies under way before its session ends."""
    with clocked() as server:
        peer = server.connect()
        peer.say(LOG_IN)
        peer.fill(100_000)
        server.kick({"ann": server.loop.now + 1})
        assert server.ended() == []
        peer.unsent = 0
        server.loop.do(peer.connection.resume_writing)
        assert server.ended() == KICKED


def test_kick_right_after_a_reply() -> None:
    """A client that has received the last reply has no second time to read it."""
    with clocked() as server:
        peer = server.connect()
        peer.say(LOG_IN)
        peer.unsent = 100
        server.kick({"ann": server.loop.now + 1})
        peer.unsent = 0
        begun = server.loop.now
        while not server.ended():
            server.loop.advance(1)
        assert server.loop.now - begun <= LONGEST_SILENCE + 1


def test_connection_during_stop() -> None:
    """A client that comes while the server stops reads so, and the log has the same reason."""
    with clocked() as server:
        server.context.connections.stopping = True
        heard = server.connect().heard
        assert heard == b"-ERR [SYS/TEMP] The server is stopping, try again later.\r\n"
        assert " end=shutdown " in server.log.getvalue()
