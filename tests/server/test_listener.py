"""How many connections the kernel holds until they are accepted, and why nothing can listen."""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from restante.delivery.listener import DeliveryListener
from restante.delivery.recipients import StoreRecipients
from restante.server import listener
from restante.server.config.addresses import ListenAddress
from restante.server.config.mail_sections import DeliverySection
from restante.server.config.server_sections import ServerSection
from restante.server.listener import (
    ListenError,
    explain_listening,
    listen_addresses,
    open_sockets,
)
from restante.server.system import unix_sockets
from restante.storage.memory import MemoryStore

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the kernel tells it on Linux")

MAX_QUEUED = struct.Struct("=28xI")  # tcpi_sacked of a listening socket: its queue's bound


def backlog(sock: socket.socket) -> int:
    """Return the bound of a listening socket's queue, as the kernel has it."""
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, MAX_QUEUED.size)
    (most,) = MAX_QUEUED.unpack(info)
    return int(most)


def allowed() -> int:
    """Return the kernel's own bound of such queues."""
    return int(Path("/proc/sys/net/core/somaxconn").read_text())


@pytest.mark.parametrize("spare", [4, 10_000])
def test_pop3(monkeypatch: pytest.MonkeyPatch, spare: int) -> None:
    """The queue has 1024 places, or half of the files that are left if they are few."""
    monkeypatch.setattr(listener, "spare_files", lambda: spare)

    for opened in open_sockets(ListenAddress("127.0.0.1", 0)):
        with opened:
            assert backlog(opened) == min(1024, spare // 2, allowed())


def open_smtp(port: int) -> socket.socket:
    """Return the socket of a listener for mail."""
    made = DeliveryListener(
        settings=DeliverySection(smtp=f"127.0.0.1:{port}"),
        recipients=lambda _store, _accounts: StoreRecipients(MemoryStore()),
    )
    (opened,) = made.open()
    return opened


def open_pop3(port: int) -> socket.socket:
    """Return the socket of a listener for POP3."""
    (opened,) = open_sockets(ListenAddress("127.0.0.1", port))
    return opened


@pytest.mark.parametrize("open_at", [open_pop3, open_smtp])
def test_restart(open_at: Callable[[int], socket.socket]) -> None:
    """A server that has closed connections can start again at once."""
    with open_at(0) as opened:
        address = opened.getsockname()
        with socket.create_connection(address) as client:
            opened.accept()[0].close()
            assert client.recv(1) == b""
    open_at(address[1]).close()


def test_delivery() -> None:
    """The queue of SMTP has 128 places."""
    with open_smtp(0) as opened:
        assert backlog(opened) == min(unix_sockets.BACKLOG, allowed())


@pytest.mark.parametrize(
    ("error", "place", "remedy"),
    [
        (errno.EADDRINUSE, "127.0.0.1:110", "stop the program that uses it, or choose another one"),
        (errno.EADDRNOTAVAIL, "192.0.2.1:110", "choose an address of this machine"),
        (errno.EACCES, "127.0.0.1:110", "ports below 1024 require root or CAP_NET_BIND_SERVICE"),
        (errno.EACCES, Path("/run/lmtp"), "check its owner and its permissions"),
    ],
)
def test_what_to_do(error: int, place: object, remedy: str) -> None:
    """The reason why nothing can listen at a place says what to do."""
    reason = os.strerror(error)
    assert explain_listening(OSError(error, reason), place) == f"{reason}; {remedy}"


def test_an_unknown_host() -> None:
    """An unknown host is an error of its name."""
    unknown = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    assert explain_listening(unknown, "mail.invalid:110").endswith("check the name of the host")


@pytest.mark.parametrize("host", ["mail..example.com", f"{'x' * 64}.example.com"])
def test_a_name_that_no_host_can_have(host: str) -> None:
    """A name that the DNS cannot have is an error, too, and none of Python's codecs."""
    with pytest.raises(ListenError, match="no host can have this name; check it"):
        open_sockets(ListenAddress(host, 110))
    with pytest.raises(ValueError, match=r"is not a host|is too long"):
        ListenAddress.parse(f"{host}:110")


@pytest.mark.parametrize(
    ("error", "left"),
    [
        (errno.EAFNOSUPPORT, ["127.0.0.1:110"]),
        (errno.EADDRNOTAVAIL, ["127.0.0.1:110"]),
        (errno.EMFILE, ["127.0.0.1:110", "[::1]:110"]),
        (None, ["127.0.0.1:110", "[::1]:110"]),
    ],
)
def test_machine_without_ipv6(
    monkeypatch: pytest.MonkeyPatch, error: int | None, left: list[str]
) -> None:
    """Without IPv6, the default addresses work, and [::1] alone is an error."""

    def bind(_: socket.socket, address: tuple[str, int]) -> None:
        assert address[0] == "::1"
        if error is not None:
            raise OSError(error, os.strerror(error))

    monkeypatch.setattr(socket.socket, "bind", bind, raising=False)
    assert list(map(str, listen_addresses(ServerSection().listen))) == left
    assert list(map(str, listen_addresses(["[::1]:995"]))) == ["[::1]:995"]
