"""The sockets where mail comes in."""

from __future__ import annotations

import errno
import grp
import os
import socket
import stat
from pathlib import Path

import pytest

from delivery.door import Known
from restante.delivery.listener import DeliveryListener, DeliveryListenError
from restante.server.config.mail_sections import DeliverySection
from support.process import free_port


def listener(place: Path | str, **options: object) -> DeliveryListener:
    settings = DeliverySection(lmtp=str(place), **options)  # type: ignore[arg-type]
    return DeliveryListener(settings=settings, recipients=lambda _store, _accounts: Known())


def test_a_unix_socket_is_for_its_owner_and_its_group(tmp_path: Path) -> None:
    """Only its owner and its group can open the Unix socket."""
    group = grp.getgrgid(os.getgid()).gr_name
    door = listener(tmp_path / "lmtp", socket_group=group)
    (opened,) = door.open()
    status = (tmp_path / "lmtp").stat()
    assert stat.S_IMODE(status.st_mode) == 0o660
    assert status.st_gid == os.getgid()
    opened.close()
    door.close()
    assert not (tmp_path / "lmtp").exists()


def test_its_permissions_can_be_chosen(tmp_path: Path) -> None:
    """The permissions of the Unix socket are configurable."""
    door = listener(tmp_path / "lmtp", socket_mode="0600")
    (opened,) = door.open()
    assert stat.S_IMODE((tmp_path / "lmtp").stat().st_mode) == 0o600
    opened.close()
    door.close()


def test_what_a_killed_server_left_behind_is_replaced(tmp_path: Path) -> None:
    """The socket of a killed server is replaced."""
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "lmtp"))
    door = listener(tmp_path / "lmtp")
    (opened,) = door.open()
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(str(tmp_path / "lmtp"))
    opened.close()
    door.close()


def test_a_socket_in_use_is_not_taken_away(tmp_path: Path) -> None:
    """A socket that another server uses is an error, and stays."""
    first, second = listener(tmp_path / "lmtp"), listener(tmp_path / "lmtp")
    (opened,) = first.open()
    with pytest.raises(DeliveryListenError, match="another server listens there"):
        second.open()
    second.close()
    assert (tmp_path / "lmtp").exists()
    opened.close()
    first.close()


def test_a_file_that_is_no_socket_is_not_taken_away(tmp_path: Path) -> None:
    """A file in place of the socket is an error, and stays."""
    (tmp_path / "lmtp").write_text("precious")
    with pytest.raises(DeliveryListenError, match="not a socket"):
        listener(tmp_path / "lmtp").open()
    assert (tmp_path / "lmtp").read_text() == "precious"


def test_other_servers_socket_stays(tmp_path: Path) -> None:
    """A socket that another server created meanwhile stays."""
    door = listener(tmp_path / "lmtp")
    (opened,) = door.open()
    (tmp_path / "lmtp").rename(tmp_path / "old")
    (tmp_path / "lmtp").write_text("another")
    opened.close()
    door.close()
    assert (tmp_path / "lmtp").exists()


@pytest.mark.parametrize(
    ("place", "options", "told"),
    [
        (Path("missing/lmtp"), {}, os.strerror(errno.ENOENT)),
        (Path("lmtp"), {"socket_group": "no-such-group"}, "no-such-group"),
        (Path("x" * 200), {}, "at most 107 octets"),
    ],
)
def test_a_place_that_cannot_be_used_is_told_of(
    tmp_path: Path, place: Path, options: dict[str, object], told: str
) -> None:
    """If the socket cannot be created, the error names it, and no file is left."""
    with pytest.raises(DeliveryListenError, match=told) as caught:
        listener(tmp_path / place, **options).open()
    assert str(tmp_path / place) in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_port_in_use_is_told_of() -> None:
    """A port in use is an error that names the address."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(DeliveryListenError, match=f"mail at 127.0.0.1:{port}: .* in use"):
            listener(f"127.0.0.1:{port}").open()


def test_second_address_fails(tmp_path: Path) -> None:
    """If the second address cannot be opened, the first one is closed."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = DeliverySection(lmtp=str(tmp_path / "lmtp"), smtp=f"127.0.0.1:{port}")
        door = DeliveryListener(settings=settings, recipients=lambda _store, _accounts: Known())
        with pytest.raises(DeliveryListenError):
            door.open()
    assert not (tmp_path / "lmtp").exists()


def test_a_port_of_ipv6_is_possible() -> None:
    """LMTP listens on a port of IPv6."""
    (opened,) = listener(f"[::1]:{free_port('::1')}").open()
    assert opened.family == socket.AF_INET6
    opened.close()
