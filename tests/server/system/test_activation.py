"""Sockets of the service manager: sd_listen_fds(3)."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from restante.server.config.addresses import ListenAddress
from restante.server.listener import ListenError, open_sockets
from restante.server.system import activation
from restante.server.system.activation import ActivatedSockets
from support.live import PATIENCE, wait_until
from support.process import POP3

START = """
import fcntl, os, sys
count, program = int(sys.argv[1]), sys.argv[2 + int(sys.argv[1])]
kept = [fcntl.fcntl(int(one), fcntl.F_DUPFD, 100) for one in sys.argv[2 : 2 + count]]
for place, one in enumerate(kept, 3):
    os.dup2(one, place)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(count)}
os.execv(program, sys.argv[2 + count :])
"""
"""Runs a program with these descriptors as its first ones, and its own PID."""


@pytest.fixture
def sockets(tmp_path: Path) -> Iterator[list[socket.socket]]:
    """Return sockets for POP3 and LMTP, and one that no configuration names."""
    lmtp = socket.socket(socket.AF_UNIX)
    lmtp.bind(str(tmp_path / "lmtp"))
    lmtp.listen()
    opened = [socket.create_server(("127.0.0.1", 0)), lmtp, socket.create_server(("127.0.0.1", 0))]
    yield opened
    for one in opened:
        one.close()


@contextlib.contextmanager
def start(
    folder: Path, sockets: list[socket.socket], *flags: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server with these sockets, as systemd does."""
    descriptors = [one.fileno() for one in sockets]
    (folder / "users").touch()
    (folder / "mail").mkdir(exist_ok=True)
    command = [sys.executable, "-c", START, str(len(sockets)), *map(str, descriptors), str(POP3)]
    command += ["serve", "--listen", f"127.0.0.1:{sockets[0].getsockname()[1]}"]
    command += ["--lmtp", str(folder / "lmtp"), "--mail", str(folder / "mail")]
    command += ["--users", str(folder / "users"), *flags]
    with (
        (folder / "log").open("ab") as log,
        subprocess.Popen(command, pass_fds=descriptors, stderr=log) as server,
    ):
        try:
            yield server
        finally:
            server.terminate()
            assert server.wait(PATIENCE) == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_connections_wait_over_a_restart(
    tmp_path: Path, sockets: list[socket.socket], workers: int
) -> None:
    """A connection to a server that is down is served by the next one, for POP3 and LMTP."""
    port = sockets[0].getsockname()[1]
    log = tmp_path / "log"
    for times in (1, 2):
        early = socket.create_connection(("127.0.0.1", port), PATIENCE)
        sender = socket.socket(socket.AF_UNIX)
        sender.settimeout(PATIENCE)
        sender.connect(str(tmp_path / "lmtp"))
        with early, sender, start(tmp_path, sockets, "--workers", str(workers)):
            assert early.recv(100).startswith(b"+OK")
            assert sender.recv(100).startswith(b"220 ")
            wait_until(lambda: log.read_text().count("event=socket_not_used") == times)  # noqa: B023
    assert (tmp_path / "lmtp").is_socket(), "the file is the service manager's"
    assert f"socket=127.0.0.1:{sockets[2].getsockname()[1]}" in log.read_text()


def test_socket_of_other_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names a socket that holds the port, but has another address."""
    with socket.create_server(("0.0.0.0", 0)) as one:
        port = one.getsockname()[1]
        monkeypatch.setattr(activation, "FIRST_DESCRIPTOR", os.dup(one.fileno()))
        activated = ActivatedSockets({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"})
        with pytest.raises(
            ListenError, match=rf"the service manager listens at 0\.0\.0\.0:{port}, "
        ):
            open_sockets(ListenAddress.parse(f"127.0.0.1:{port}"), activated)
        activated.close()


def test_keepalive(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel finds a peer that is gone at the sockets of the service manager, too."""
    with socket.create_server(("127.0.0.1", 0)) as one:
        monkeypatch.setattr(activation, "FIRST_DESCRIPTOR", os.dup(one.fileno()))
        activated = ActivatedSockets({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"})
        address = ListenAddress.parse(f"127.0.0.1:{one.getsockname()[1]}")
        (opened,) = open_sockets(address, activated)
        with opened, socket.create_connection(opened.getsockname()):
            opened.settimeout(PATIENCE)
            with opened.accept()[0] as accepted:
                assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_sockets_of_another_process(sockets: list[socket.socket]) -> None:
    """The variables of another process give nothing, and no child inherits them."""
    variables = {"LISTEN_PID": "1", "LISTEN_FDS": "3", "LISTEN_FDNAMES": "a:b:c", "HOME": "/"}
    assert ActivatedSockets(variables).close() == []
    assert variables == {"HOME": "/"}


@pytest.mark.parametrize(
    ("only_ipv6", "host", "taken"),
    [
        (False, "0.0.0.0", True),
        (False, "::", True),
        (True, "0.0.0.0", False),
        (True, "::", True),
        (False, "127.0.0.1", False),
    ],
)
def test_one_socket_for_ipv4_and_ipv6(
    monkeypatch: pytest.MonkeyPatch, host: str, *, only_ipv6: bool, taken: bool
) -> None:
    """A socket for all addresses of IPv6 stands for those of IPv4, unless it is for IPv6 only."""
    with socket.create_server(
        ("::", 0), family=socket.AF_INET6, dualstack_ipv6=not only_ipv6
    ) as one:
        port = one.getsockname()[1]
        monkeypatch.setattr(activation, "FIRST_DESCRIPTOR", os.dup(one.fileno()))
        activated = ActivatedSockets({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"})
        found = activated.take([(host, port)])
        assert bool(found) == taken
        assert len(activated.close()) == (not taken)
        for each in found:
            each.close()
