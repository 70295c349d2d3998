"""A server that ends: replies under way are finished, no mail is removed."""

from __future__ import annotations

import fcntl
import signal
import struct
import subprocess
import termios
from pathlib import Path

import pytest

from support.live import PATIENCE, Client, serving, wait_until
from support.process import POP3, free_port, wait_for_port
from support.process import serving as serving_process

BIG = b"Subject: big\n\n" + b"0123456789abcde\n" * 500_000


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_idle_sessions_without_a_word(tmp_path: Path, number: int) -> None:
    """rfc1939-s6/only-quit-removes, known-bug/extra-reply."""
    with serving_process(tmp_path) as served:
        maildir = served.add("ann", "secret", b"Subject: a\n\n")
        with served.connect() as idle, served.connect() as client:
            idle.read_line()
            client.log_in("ann", "secret")
            client.say("DELE 1")
            client.acknowledge()
            idle.acknowledge()
            served.process.send_signal(number)
            assert served.process.wait(PATIENCE) == 0
            assert idle.read_all() == b""
            assert client.read_all() == b""
        assert len(list((maildir / "new").iterdir())) == 1
        log = served.log.read_text()
        assert log.count("event=session") - log.count("end=disconnected") == 2
        assert log.count("end=shutdown") == 2


def test_stop_finishes_reply(tmp_path: Path) -> None:
    """At a stop, a reply under way is finished, and no later command is begun."""
    with serving_process(tmp_path) as served:
        maildir = served.add("ann", "secret", BIG)
        with served.connect() as client:
            client.log_in("ann", "secret")
            client.send(b"DELE 1\r\nRSET\r\nRETR 1\r\nDELE 1\r\nQUIT\r\n")
            for _ in range(3):
                client.read_line()
            served.process.send_signal(signal.SIGTERM)
            wait_until(lambda: "event=stopping" in served.log.read_text())
            rest = client.read_all()
        assert rest.endswith(b"abcde\r\n.\r\n")
        assert len(rest) == len(BIG) + BIG.count(b"\n") + 3
        assert served.process.wait(PATIENCE) == 0
        assert len(list((maildir / "new").iterdir())) == 1


def waiting_octets(client: Client) -> int:
    """Return how much the client's kernel holds that it has not read."""
    (octets,) = struct.unpack("i", fcntl.ioctl(client.socket, termios.FIONREAD, bytes(4)))
    return int(octets)


def test_unread_replies_do_not_delay_stop() -> None:
    """A peer that never reads does not delay the stop."""
    with serving(stop_patience=0.3) as live:
        live.add("ann", "secret", b"x" * 30_000_000)
        client = live.connect()
        client.log_in("ann", "secret")
        client.send(b"RETR 1\r\n")
        client.read_line()
    assert "end=shutdown" in live.log.getvalue()
    client.close()


def test_stop_order_with_unread_replies(tmp_path: Path) -> None:
    """First the tasks that waited for the client end; then the transport has none to notify."""
    settings = tmp_path / "restante.toml"
    settings.write_text("[timeouts]\nstop = 1\n")
    with serving_process(tmp_path, "--config", settings) as served:
        served.add("ann", "secret", b"0123456789abcde\n" * 2_500_000)
        with served.connect() as client:
            client.log_in("ann", "secret")
            client.send(b"RETR 1\r\n")
            client.read_line()
            wait_until(
                lambda: waiting_octets(client) > len(BIG) // 100
            )  # of a reply that does not fit
            served.process.send_signal(signal.SIGTERM)
            assert served.process.wait(PATIENCE) == 0
        log = served.log.read_text()
        assert "end=shutdown" in log
        assert "event=incident" not in log


def test_unread_log_does_not_stop_server(tmp_path: Path) -> None:
    """A log that no process reads does not stop the server."""
    (tmp_path / "users").touch()
    port = free_port()
    command: list[str | Path] = [POP3, "serve", "--listen", f"127.0.0.1:{port}"]
    command += ["--mail", tmp_path, "--users", tmp_path / "users"]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        wait_for_port(port, process)
        for _ in range(1500):  # a line is some 180 octets, a pipe holds 65536
            with Client(port) as client:
                assert client.read_line().startswith(b"+OK")
                assert client.say("QUIT") == b"+OK Logging out.\r\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
