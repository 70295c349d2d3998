"""A server with one thing wrong: what a client sees of it, and what the server knows after it."""

from __future__ import annotations

import asyncio
import poplib
import socket
import ssl

import pytest

from restante.client import blocking
from restante.client.options import Options, Target, parse_url
from restante.misbehave import find
from restante.misbehave.driver import PASSWORD, SAMPLES, USER, FaultyServer, FilledStore, serving
from restante.misbehave.fault import NONE
from restante.protocol.errors import RemoteError
from restante.storage.errors import FullError

OPTIONS = Options(reply_seconds=5, connect_seconds=5, total_seconds=10)


def said(server: FaultyServer, *lines: str) -> bytes:
    """Send lines, and return all that came until the server hung up, or said goodbye."""
    with socket.create_connection((server.host, server.port), 5) as sock:
        sock.sendall("".join(f"{line}\r\n" for line in lines).encode())
        received = b""
        try:
            while octets := sock.recv(65536):
                received += octets
        except ConnectionResetError:
            received += b"(reset)"
        return received


LOGIN = (f"USER {USER}", f"PASS {PASSWORD}")


def test_everything_else_is_right() -> None:
    """A client fetches and deletes both messages, and the server knows that."""
    with serving(find("retr-drip")) as server:
        target = parse_url(server.url)
        assert target == Target(server.host, server.port, "starttls", USER)
        assert server.left == list(SAMPLES)
        with blocking.connect(target, PASSWORD, OPTIONS) as maildrop:
            assert [message.read() for message in maildrop] == list(SAMPLES)
            for message in maildrop:
                maildrop.delete(message)
            maildrop.commit()
    assert server.left == []
    assert server.removed == list(SAMPLES)
    assert server.commands[-1] == "QUIT"
    assert server.leaked


def test_half_a_message() -> None:
    """A message that is cut at its half is there to its half, and nothing is removed."""
    with serving(find("retr-cut")) as server:
        received = said(server, *LOGIN, "DELE 2", "RETR 1", "QUIT")
        assert received.count(b"BEGIN-1") == 1
        assert b"END-1" not in received
        assert server.left == list(SAMPLES)
        assert server.removed == []


def test_reset() -> None:
    """A server resets the connection, and what it said before arrives."""
    with serving(find("RETR: reset at 20")) as server:
        received = said(server, *LOGIN, "RETR 1")
    assert received.endswith(b"(reset)")


def test_silence_ends_with_the_client() -> None:
    """A silent server lets go of the maildrop as soon as the client hangs up."""
    with serving(find("PASS: silence")) as server:
        with socket.create_connection((server.host, server.port), 5) as sock:
            sock.sendall(b"USER joe\r\n")
            assert sock.recv(100).startswith(b"+OK")
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(100):
                pass
    assert server.commands == ["USER joe"]


def test_each_fault_of_a_sum_shows() -> None:
    """Two faults at once: one at the greeting, one at a message."""
    with serving(find("greeting-bare+retr-refused")) as server:
        received = said(server, *LOGIN, "RETR 1", "RETR 2", "QUIT")
    assert received.startswith(b"+OK\r\n")
    assert b"-ERR [SYS/TEMP]" in received
    assert b"END-2" in received


def test_tls() -> None:
    """A server with TLS is to be trusted by its authority, on both ports."""
    with serving(find("retr-cut"), tls=True) as server:
        assert server.tls_port
        options = Options(context=ssl.create_default_context(cafile=server.authority))
        for port, tls in ((server.port, "starttls"), (server.tls_port, "implicit")):
            target = Target("localhost", port, tls, USER)  # type: ignore[arg-type]
            with blocking.connect(target, PASSWORD, options) as maildrop:
                with pytest.raises(RemoteError, match="msg-truncated"):
                    maildrop[1].read()
        assert not server.leaked


def test_moved_numbers() -> None:
    """After UIDL, each number is that of the other message, for all commands that read or mark."""
    with serving(find("numbers-move")) as server:
        received = said(server, *LOGIN, "RETR 1", "UIDL", "RETR 1", "TOP 1 9", "DELE 1", "QUIT")
    assert [received.count(b"BEGIN-%d" % number) for number in (1, 2)] == [1, 2]
    assert server.removed == [SAMPLES[1]]


def test_refused_command_has_no_effect() -> None:
    """A rule that refuses keeps the command from the server, which marks nothing."""
    with serving(find("DELE 1: -ERR no")) as server:
        said(server, *LOGIN, "DELE 1", "DELE 2", "QUIT")
        assert server.removed == [SAMPLES[1]]
    with serving(find("PASS#1: -ERR no")) as server:
        received = said(server, *LOGIN, *LOGIN, "QUIT")
    assert received.count(b"+OK Logged in") == 1
    assert server.commands == [*LOGIN, *LOGIN, "QUIT"]


def test_refused_login_by_auth() -> None:
    """After a refusal in AUTH the next line is a command, not a response."""
    for place in ("AUTH", "response"):
        lines = ["AUTH PLAIN", *(["AGpvZQBzZWNyZXQ="] if place == "response" else [])]
        with serving(find(f"{place}: -ERR [AUTH] no")) as server:
            received = said(server, *lines, *LOGIN, "QUIT")
        assert received.count(b"-ERR") == received.count(b"-ERR [AUTH] no") == 1
        assert b"+OK Logged in" in received


def test_refill() -> None:
    """On demand there is new mail as soon as all is removed."""
    with serving(find("retr-drip"), refill=True) as server:
        said(server, *LOGIN, "DELE 1", "DELE 2", "QUIT")
        assert server.left == []
        assert b"\r\n2 " in said(server, *LOGIN, "UIDL", "QUIT")


def test_fault_of_a_user_name() -> None:
    """A user name adds a fault to what comes after the name, and has mail of its own."""
    with serving(NONE) as server:
        usual = said(server, *LOGIN, "RETR 1", "QUIT")
        cut = said(server, "USER joe+retr-cut", f"PASS {PASSWORD}", "RETR 1", "QUIT")
        empty = said(server, "USER joe+empty", f"PASS {PASSWORD}", "STAT", "QUIT")
        plain = said(server, "AUTH PLAIN AGpvZStsb2dpbi10ZW1wAHNlY3JldA==", "AUTH", "QUIT")
    assert b"END-1" in usual
    assert b"END-1" not in cut
    assert b"+OK 0 0\r\n" in empty
    assert b"+OK Logged in" in plain  # login-temp is about PASS


def test_an_account_with_a_plus() -> None:
    """The account's own name may have a plus: what comes after it is a fault, and no part of it."""
    with serving(NONE, user="ann+pop@example.com") as server:
        usual = said(server, "USER ann+pop@example.com", f"PASS {PASSWORD}", "RETR 1", "QUIT")
        empty = said(server, "USER ann+pop@example.com+empty", f"PASS {PASSWORD}", "STAT", "QUIT")
        other = said(server, "USER ann", f"PASS {PASSWORD}", "QUIT")
        longer = said(server, "USER ann+pop@example.commm", f"PASS {PASSWORD}", "QUIT")
    assert b"END-1" in usual
    assert b"+OK 0 0\r\n" in empty
    assert b"Logged in" not in other + longer


def test_unknown_fault_of_a_user_name() -> None:
    """A name that is not of a fault is rejected with near spellings; the password is not asked."""
    with serving(NONE) as server:
        received = said(server, "USER joe+retr-cutt", f"PASS {PASSWORD}", *LOGIN, "QUIT")
    assert b"-ERR [AUTH] unknown fault 'retr-cutt'; did you mean retr-cut" in received
    assert b"+OK Logged in" in received


def test_a_session_ends() -> None:
    """A session of a faulty server is cut off when its time is over, whatever it waits for."""
    with serving(find("PASS: silence")) as server:
        server.shared.longest = 0.05
        assert b"+OK Logged in" not in said(server, *LOGIN)


def test_maildrops_are_counted() -> None:
    """User names that choose faults make no more maildrops than a store has."""
    store = FilledStore(lambda _user: SAMPLES, most=2)

    async def open_all() -> list[str]:
        errors = []
        for user in ("joe", "joe+retr-cut", "joe+empty", "joe"):
            try:
                (await store.acquire(user, 1)).release()
            except FullError as error:
                errors.append(f"{user}: {error}")
        return errors

    assert asyncio.run(open_all()) == ["joe+empty: a server has at most 2 maildrops"]


def test_tls_begins_after_a_late_reply() -> None:
    """A fault of time delays the reply to STLS, and leaves TLS as it is."""
    with serving(find("*: wait 1ms"), tls=True) as server:
        client = poplib.POP3("localhost", server.port, timeout=20)
        client.stls(ssl.create_default_context(cafile=server.authority))
        client.user(USER)
        assert client.pass_(PASSWORD).startswith(b"+OK")
        client.quit()
