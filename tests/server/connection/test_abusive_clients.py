"""The worst clients there are: policy/bad-commands, rfc2449-s6.6/pipelining. Memory is read from
the real process.
"""

from __future__ import annotations

import contextlib
import random
import resource
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.live import Client, Live, serving
from support.process import Served
from support.process import serving as serving_process

MIB = 1024 * 1024
MAX_GROWTH = 16 * MIB  # the process holds some 40 before anybody connects

LETTER = b"Subject: a\n\nhello\n"


@pytest.fixture
def live() -> Iterator[Live]:
    with serving() as live:
        live.add("ann", "secret", LETTER)
        yield live


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving_process(tmp_path, measured=True) as served:
        served.add("ann", "secret", LETTER)
        yield served


def ann_is_served(server: Live | Served) -> None:
    with server.connect() as client:
        client.log_in("ann", "secret")
        assert client.say("STAT") == b"+OK 1 21\r\n"
        assert client.say("QUIT") == b"+OK Logging out.\r\n"


def send_all_that_is_taken(client: Client, octets: bytes) -> None:
    with contextlib.suppress(ConnectionResetError, BrokenPipeError):
        client.send(octets)


def test_a_line_without_end_gets_a_word_and_a_close(live: Live) -> None:
    """A line without an end gets an error, and the connection is closed."""
    with live.connect() as client:
        client.read_line()
        send_all_that_is_taken(client, b"x" * 100_000)
        assert client.read_all() == b"-ERR Line too long.\r\n"
    ann_is_served(live)


@pytest.mark.parametrize("end", [b"", b"\r\nQUIT\r\n"])
def test_ten_megabytes_before_a_line_end_cost_no_memory(served: Served, end: bytes) -> None:
    """Lines of ten megabytes do not increase the server's memory."""
    ann_is_served(served)
    before = served.memory("VmHWM")
    clients = [served.connect() for _ in range(10)]
    for client in clients:
        client.read_line()
    for _ in range(10):
        for client in clients:
            send_all_that_is_taken(client, b"x" * MIB)
    for client in clients:
        send_all_that_is_taken(client, end)
        client.close()
    ann_is_served(served)
    assert served.memory("VmHWM") - before < MAX_GROWTH


def test_binary_garbage_gets_errors_and_a_close(live: Live) -> None:
    """Random octets get errors only, and the connection is closed."""
    garbage = random.Random(1939).randbytes(200_000)  # the same every time
    with live.connect() as client:
        client.read_line()
        send_all_that_is_taken(client, garbage)
        replies = client.read_all().split(b"\r\n")
        assert replies.pop() == b""
        assert len(replies) >= 1
        assert all(reply.startswith(b"-ERR ") for reply in replies)
    ann_is_served(live)


def test_tls_on_the_plain_port(live: Live) -> None:
    """A TLS handshake on the plain port is only a bad line."""
    hello = bytes.fromhex("16030100c8010000c40303") + bytes(range(32)) + b"\n" + b"\0" * 160
    with live.connect() as client:
        client.read_line()
        client.send(hello)
        assert client.read_line() == b"-ERR Unknown command.\r\n"
    ann_is_served(live)


def test_clients_that_never_read(tmp_path: Path) -> None:
    """Ten clients ask for 200 messages of 1 MB each, and read nothing."""
    with serving_process(tmp_path, measured=True) as served:
        served.add("ann", "secret", LETTER)
        for number in range(10):
            served.add(
                f"user{number}", "secret", b"Subject: big\n\n" + b"0123456789abcde\n" * 65536
            )
        ann_is_served(served)
        before = served.memory("VmHWM")
        clients = [served.connect() for _ in range(10)]
        for number, client in enumerate(clients):
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.log_in(f"user{number}", "secret")
            client.send(b"RETR 1\r\n" * 200)
        ann_is_served(served)
        assert served.memory("VmHWM") - before < MAX_GROWTH
        for client in clients:
            client.close()


@pytest.mark.parametrize("command", [b"NOOP\r\n", b"LIST\r\n", b"CAPA\r\n", b"x\r\nNOOP\r\n"])
def test_command_flood(served: Served, command: bytes) -> None:
    """The server reads no more commands while its replies are unread."""
    before = served.memory("VmHWM")
    with served.connect() as client:
        client.log_in("ann", "secret")
        client.socket.settimeout(0.2)
        with pytest.raises(TimeoutError):  # the server reads no more while replies are unread
            client.send(command * (64 * MIB // len(command)))
        with served.connect() as other:
            assert other.read_line().startswith(b"+OK")
        assert served.memory("VmHWM") - before < MAX_GROWTH


def test_a_slow_reader_gets_every_octet(live: Live) -> None:
    """A client that reads slowly gets every octet."""
    big = b"Subject: big\n\n" + b".23456789abcdef\n" * 100_000
    live.add("bob", "secret", big)
    with live.connect() as client:
        client.log_in("bob", "secret")
        client.send(b"RETR 1\r\nQUIT\r\n")
        ann_is_served(live)
        received = b""
        while piece := client.socket.recv(10_000):
            received += piece
    assert received.count(b"\r\n..23456789abcdef") == 100_000
    assert received.endswith(b"\r\n.\r\n+OK Logging out.\r\n")


def test_control_characters_in_name(live: Live) -> None:
    """implied/no-injection: control characters in a name are neither in replies nor in the log."""
    with live.connect() as client:
        client.read_line()
        client.send(b"USER a\x1b[31m\x07\r\nUSER x\rlevel=info event=forged\r\nQUIT\r\n")
        said = client.read_all()
    assert said == b"-ERR Write it as: USER name\r\n" * 2 + b"+OK Logging out.\r\n"
    live.wait_for_log("end=quit")
    assert "forged" not in live.log.getvalue()
    assert "\x1b" not in live.log.getvalue()


@pytest.fixture
def many_files() -> Iterator[None]:
    """Let the test open two thousand files."""
    before = soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard not in range(2000):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2000), hard))
        yield
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    else:
        pytest.skip("the system allows fewer open files")


@pytest.mark.usefixtures("many_files")
def test_thousand_silent_connections(served: Served) -> None:
    """A thousand silent connections do not keep other clients out."""
    clients = [served.connect() for _ in range(1000)]
    ann_is_served(served)
    for client in clients:
        client.close()
    ann_is_served(served)


def test_every_octet_may_come_alone(live: Live) -> None:
    """Commands may come octet by octet."""
    with live.connect() as client:
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for octet in b"USER ann\r\nPASS secret\r\nSTAT\r\nQUIT\r\n":
            client.send(bytes([octet]))
        said = client.read_all()
    assert said.endswith(b"+OK Logged in.\r\n+OK 1 21\r\n+OK Logging out.\r\n")
