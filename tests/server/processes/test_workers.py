"""Several workers: one port, and clients of the others go on when one of them dies."""

from __future__ import annotations

import os
import signal
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.live import wait_until
from support.process import write_certificate
from support.workers import Workers, log_in, value, working

LETTER = b"Subject: a\n\nhello\n"


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Workers]:
    with working(tmp_path, "[timeouts]\nlock = 0\n") as workers:
        yield workers


def test_two_workers_share_a_port(two: Workers) -> None:
    """Two workers accept connections on one port."""
    assert len(two.alive()) == 2
    with ExitStack() as stack:
        clients = two.at_each(stack, two.greeted)
        assert sorted(clients) == sorted(two.alive())
        for client in clients.values():
            assert client.say("QUIT") == b"+OK Logging out.\r\n"
            assert client.read_all() == b""
    wait_until(lambda: len({value(line, "pid") for line in two.events("session")}) == 2)


def test_killed_worker_is_replaced(two: Workers) -> None:
    """A killed worker is replaced, and sessions at the other worker go on."""
    two.served.add("ann", "secret", LETTER)
    with ExitStack() as stack:
        clients = two.at_each(stack, two.greeted)
        (doomed, victim), (_, other) = clients.items()
        assert log_in(other, "ann") == b"+OK Logged in.\r\n"
        os.kill(doomed, signal.SIGKILL)
        for _ in range(20):
            with two.greeted() as client:
                assert client.say("QUIT") == b"+OK Logging out.\r\n"
        assert victim.read_line() == b""
        assert other.say("STAT") == b"+OK 1 21\r\n"
        wait_until(lambda: len(two.alive()) == 2 and len(two.started()) == 3)
        assert "status=SIGKILL" in two.events("worker_ended")[0]
        assert other.say("RETR 1").startswith(b"+OK")
        assert b"hello\r\n" in other.read_lines()
        newcomer = two.started()[2]
        assert newcomer in two.at_each(stack, two.greeted)


def test_one_session_a_maildrop_holds_over_workers(two: Workers) -> None:
    """rfc1939-s4/exclusive-lock."""
    two.served.add("ann", "secret", LETTER)
    with ExitStack() as stack:
        first, second = two.at_each(stack, two.greeted).values()
        assert log_in(first, "ann") == b"+OK Logged in.\r\n"
        assert log_in(second, "ann").startswith(b"-ERR [IN-USE] Another session")
        assert first.say("QUIT") == b"+OK Logging out.\r\n"
        assert log_in(second, "ann") == b"+OK Logged in.\r\n"


def test_what_one_worker_removes_or_gets_the_other_sees(two: Workers) -> None:
    """Each worker sees what another one removed or received."""
    maildir = two.served.add("ann", "secret", LETTER, LETTER)

    def sessions(says: str) -> None:
        """Log in at each worker, so that both remember how the maildrop is."""
        with ExitStack() as stack:
            for client in two.at_each(stack, two.greeted).values():
                assert log_in(client, "ann") == b"+OK Logged in.\r\n"
                assert client.say("STAT").decode() == says
                assert client.say("QUIT").startswith(b"+OK")

    sessions("+OK 2 42\r\n")
    with two.greeted() as client:
        log_in(client, "ann")
        client.say("DELE 1")
        assert client.say("QUIT").startswith(b"+OK")
    sessions("+OK 1 21\r\n")
    (maildir / "tmp" / "3.test").write_bytes(LETTER)
    (maildir / "tmp" / "3.test").rename(maildir / "new" / "3.test")
    sessions("+OK 2 42\r\n")


def test_tls_resumption_across_workers(tmp_path: Path) -> None:
    """A TLS session from one worker is resumed at the other."""
    files = write_certificate(tmp_path)
    pair = f'certificate = "{files.certificate}", key = "{files.key}"'
    tls = f"[tls]\ncertificates = [{{ {pair} }}]\n"
    context = ssl.create_default_context(cafile=files.certificate)
    with working(tmp_path, tls) as workers, ExitStack() as stack:
        begun: ssl.SSLSession | None = None
        for client in workers.at_each(stack, workers.greeted).values():
            assert client.say("STLS").startswith(b"+OK")
            secured = client.start_tls(context, "localhost", begun)
            assert secured.session_reused == (begun is not None)
            assert client.say("QUIT").startswith(b"+OK")
            begun = secured.session
