"""A configuration adds logins to its source of accounts, in a server with workers."""

from __future__ import annotations

import base64
import smtplib
import socket
from pathlib import Path

from restante.auth import locked_names
from support.live import wait_until
from support.process import serving
from support.workers import log_in

CONFIG = """\
[accounts]
locks = "locks"
[auth_socket]
path = "auth"
[delivery]
lmtp = "lmtp"
"""
SECRET = base64.b64encode(b"\0ann\0secret").decode()
HELLO = f"VERSION\t1\t1\nCPID\t1\nAUTH\t1\tPLAIN\tservice=smtp\tsecured\tresp={SECRET}\n"


def ask_auth_socket(path: Path) -> bytes:
    """Return the reply to a login with ann's password."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(str(path))
        client.sendall(HELLO.encode())
        return next(line for line in client.makefile("rb") if line.startswith((b"OK", b"FAIL")))


def test_lock(tmp_path: Path) -> None:
    """A name in the list ends its session and has no login at any door, but its mail comes."""
    locks = tmp_path / "locks"
    locks.write_text(f"{locked_names.HEADER}\n")
    file = tmp_path / "restante.toml"
    file.write_text(CONFIG)
    with serving(tmp_path, "--config", file, "--workers", "2") as served:
        served.add("ann", "secret")
        assert ask_auth_socket(tmp_path / "auth") == b"OK\t1\tuser=ann\n"
        with served.connect() as ann:
            ann.log_in("ann", "secret")
            locks.write_text(f"{locked_names.HEADER}\nann\n")
            assert ann.read_all() == b""
        with served.connect() as ann:
            ann.read_line()
            assert log_in(ann, "ann").startswith(b"-ERR [AUTH]")
        assert ask_auth_socket(tmp_path / "auth").startswith(b"FAIL\t1\tuser=ann\treason=")
        with smtplib.LMTP(str(tmp_path / "lmtp")) as lmtp:
            assert lmtp.sendmail("bob@example.com", ["ann"], b"Subject: a\n\nhello\n") == {}
        reason = 'reason="locked by accounts.locks"'
        wait_until(lambda: served.log.read_text().count(reason) == 2)
