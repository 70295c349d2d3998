"""Unix sockets whose files another program removes while the server runs."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from restante.server.system.unix_sockets import UnixSockets
from support.command import pop3
from support.live import wait_until
from support.process import Served, serving
from support.workers import working

CONFIG = """\
[control]
folder = "{0}/control"
[delivery]
lmtp = "{0}/lmtp"
socket_mode = "0620"
[auth_socket]
path = "{0}/auth"
mode = "0620"
[metrics]
listen = "{0}/metrics"
socket_mode = "0620"
"""
FILES = ("lmtp", "auth", "metrics")


def first_octets(file: Path, sent: bytes = b"") -> bytes:
    """Return how a server begins at a socket, b"" if it does not listen there."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        try:
            client.connect(os.fspath(file))
            client.sendall(sent)
            return client.recv(4)
        except OSError:
            return b""


def remove_and_wait(folder: Path, served: Served, log: Path) -> None:
    """Remove the files, as a cleaner does, and wait until each answers again."""
    for name in FILES:
        assert first_octets(folder / name, b"GET /livez HTTP/1.0\r\n\r\n" * (name == "metrics"))
        (folder / name).unlink()
    controls = list((folder / "control").glob("*.sock"))
    for file in controls:
        file.unlink()
    assert pop3("status", "--control", folder / "control").code != 0
    wait_until(lambda: log.read_text().count("event=socket_restored") >= 3 + len(controls))
    wait_until(lambda: first_octets(folder / "lmtp") == b"220 ")
    wait_until(lambda: first_octets(folder / "auth") == b"VERS")
    wait_until(lambda: first_octets(folder / "metrics", b"GET /livez HTTP/1.0\r\n\r\n") == b"HTTP")
    for name in FILES:
        assert stat.filemode((folder / name).stat().st_mode) == "srw--w----"
    wait_until(lambda: pop3("status", "--control", folder / "control").code == 0)
    assert served.stop() == 0
    assert not [name for name in FILES if (folder / name).exists()]
    assert not list((folder / "control").glob("*.sock"))


def test_removed_files(tmp_path: Path) -> None:
    """A server of one process listens anew at the sockets that a cleaner removed."""
    file = tmp_path / "restante.toml"
    file.write_text(CONFIG.format(tmp_path))
    with serving(tmp_path, "--config", file) as served:
        wait_until(lambda: any((tmp_path / "control").glob("*.sock")))
        remove_and_wait(tmp_path, served, served.log)


def test_removed_files_of_workers(tmp_path: Path) -> None:
    """New workers listen at the sockets that a cleaner removed."""
    with working(tmp_path, CONFIG.format(tmp_path)) as workers:
        wait_until(lambda: len(list((tmp_path / "control").glob("*.sock"))) == 2)
        remove_and_wait(tmp_path, workers.served, workers.served.log)


def test_place_of_another_server(tmp_path: Path) -> None:
    """A server that has bound the path meanwhile keeps it; the event comes once, until it ends."""
    file, files, other = tmp_path / "lmtp", UnixSockets(), UnixSockets()
    log = structlog.get_logger()
    ours = files.open(file, "600", None)
    file.unlink()
    theirs = other.open(file, "600", None)
    with capture_logs() as lines:
        for _ in range(2):
            assert files.replace_lost([ours], log) == [ours]
    assert [(line["event"], line["file"]) for line in lines] == [("socket_lost", str(file))]
    assert "another server listens there" in lines[0]["problem"]
    files.close()
    assert file.exists()
    theirs.close()
    other.close()
    ours.close()


@pytest.mark.parametrize("left", ["stale", "missing"])
def test_new_socket(tmp_path: Path, left: str) -> None:
    """A new socket replaces one whose file is gone, or is that of a killed server."""
    file, files = tmp_path / "lmtp", UnixSockets()
    ours = files.open(file, "640", None)
    file.unlink()
    if left == "stale":
        UnixSockets().open(file, "600", None).close()
    with capture_logs() as lines:
        (new,) = files.replace_lost([ours], structlog.get_logger())
        assert files.replace_lost([new], structlog.get_logger()) == [new]
    assert [line["event"] for line in lines] == ["socket_restored"]
    assert stat.filemode(file.stat().st_mode) == "srw-r-----"
    ours.close()
    new.close()
    files.close()
    assert not file.exists()
