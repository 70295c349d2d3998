"""The article's session, typed into telnet in a terminal, at the server that `make serve` starts.

session/greeting, session/list, session/top-header, session/dele, session/bare-ok,
session/demo-messages.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from support.live import PATIENCE
from support.process import POP3, free_port
from support.programs import need

SESSION = (
    ("USER info@example.com", "+OK"),
    ("PASS restante", "+OK Logged in."),
    ("LIST", "+OK 5 messages:\r\n1 3375\r\n2 3622\r\n3 3606\r\n4 3630\r\n5 3834\r\n."),
    ("STAT", "+OK 5 18067"),
    ("DELE 1", "+OK Marked to be deleted."),
    ("DELE 9999", "-ERR There's no message 9999."),
    ("RSET", "+OK"),
    ("STAT", "+OK 5 18067"),
    ("NOOP", "+OK"),
)

ARTICLE_HEADER = (
    "Return-Path: <sender@example.com>\r\n"
    "Delivered-To: info@example.com\r\n"
    "Received: from localhost (localhost [127.0.0.1])\r\n"
)


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[int]:
    need("telnet")
    port = free_port()
    command: list[str | Path] = [POP3, "dev", "--demo", "--keep", tmp_path / "demo"]
    command += ["--port", str(port), "--tls-port", "0", "--smtp-port", "0", "--web-port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline(), "the server ended at once"  # it serves then
            yield port
        finally:
            process.terminate()
            assert process.wait(PATIENCE) == 0


def test_the_session_of_the_article_works_by_hand(demo: int) -> None:
    """The article's session can be typed into telnet."""
    telnet = pexpect.spawn(
        need("telnet"), ["127.0.0.1", str(demo)], timeout=PATIENCE, echo=False, encoding="utf-8"
    )
    telnet.expect_exact("Escape character is '^]'.\r\n")
    telnet.expect_exact("+OK POP3 server ready.\r\n")
    for typed, said in SESSION:
        telnet.sendline(typed)
        telnet.expect_exact(f"{said}\r\n")
        assert telnet.before in ("", f"{typed}\r\n"), typed
    for typed, said, end in (
        ("TOP 1", "+OK", ".\r\n"),
        ("RETR 1", "+OK 3375 octets", "\r\n.\r\n"),
    ):
        telnet.sendline(typed)
        telnet.expect_exact(f"{said}\r\n{ARTICLE_HEADER}")
        telnet.expect_exact("Subject: Just a test message\r\n\r\n")
        telnet.expect_exact(end)
    telnet.sendline("QUIT")
    telnet.expect_exact("+OK Logging out.\r\n")
    telnet.expect_exact("Connection closed by foreign host.")
    telnet.expect(pexpect.EOF)
    telnet.close()
    assert telnet.signalstatus is None
