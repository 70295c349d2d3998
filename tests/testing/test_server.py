"""The server that others test their programs against."""

from __future__ import annotations

import contextlib
import os
import poplib
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from restante import blocking, testing
from restante.protocol.server.settings import ProtocolSettings
from restante.storage.errors import BusyError

LETTER = b"Subject: a\n\nhello\n"


@contextlib.contextmanager
def session(server: testing.MemoryServer, user: str, password: str) -> Iterator[poplib.POP3]:
    """Log in; at the end the client hangs up, whether it has said QUIT or not."""
    client = poplib.POP3(server.host, server.port, timeout=20)
    try:
        client.user(user)
        client.pass_(password)
        yield client
    finally:
        client.close()


def can_log_in(server: testing.MemoryServer, user: str, password: str) -> bool:
    try:
        with session(server, user, password):
            return True
    except poplib.error_proto as error:
        return b"[AUTH]" not in error.args[0]


def test_added_mail_is_served() -> None:
    """Clients get the messages that a test added, and the test sees what they left."""
    with testing.serving() as server:
        server.add("ann", "secret", LETTER, b"Subject: b\n\n.\n")
        with session(server, "ann", "secret") as client:
            assert client.retr(2)[1] == [b"Subject: b", b"", b"."]
            client.dele(1)
            client.quit()
        assert server.messages("ann") == [b"Subject: b\n\n.\n"]


def test_messages_can_wait_for_the_end() -> None:
    """`messages` with a timeout returns what is left after the session is over."""
    with testing.serving() as server:
        server.add("ann", "secret", LETTER)
        with session(server, "ann", "secret") as client:
            client.dele(1)
            later = threading.Timer(0.2, client.quit)
            later.start()
            assert server.messages("ann", timeout=10) == []
            later.join()


def test_a_session_that_goes_on_is_told_of() -> None:
    """`messages` raises BusyError while a session holds the maildrop."""
    with testing.serving() as server:
        server.add("ann", "secret", LETTER)
        with session(server, "ann", "secret"), pytest.raises(BusyError, match="ann"):
            server.messages("ann", timeout=0.1)


def test_deliver_returns_unique_id() -> None:
    """A message that is delivered later has the unique-id that `deliver` returned."""
    with testing.serving() as server:
        server.add("ann", "secret", LETTER)
        uid = server.deliver("ann", LETTER)
        with session(server, "ann", "secret") as client:
            assert client.uidl()[1][1] == b"2 " + uid.encode()


def test_accounts_are_separate() -> None:
    """Accounts are separate, and a wrong password is rejected."""
    with testing.serving() as server:
        server.add("ann", "secret", LETTER)
        server.add("bob", "other")
        with session(server, "bob", "other") as client:
            assert client.stat() == (0, 0)
        assert not can_log_in(server, "ann", "other")
        assert not can_log_in(server, "nobody", "secret")
        server.add("ann", "new")
        assert can_log_in(server, "ann", "new")
        assert not can_log_in(server, "ann", "secret")
        assert server.messages("ann") == [LETTER]


WITH_TLS = """
import atexit, os
from restante import testing
with testing.serving(tls=True) as server:
    certificate = server.certificate
if (child := os.fork()) == 0:
    atexit._run_exitfuncs()
    os._exit(0)  # a thread that ended during the fork may have left OpenSSL locked for ever
assert os.waitpid(child, 0)[1] == 0
assert certificate.read_bytes()
"""


def test_the_certificates_live_as_long_as_the_process(tmp_path: Path) -> None:
    """The files are there until the process ends, not its children, and then go silently."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", WITH_TLS],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert list(tmp_path.iterdir()) == []


def test_with_tls_a_client_can_verify_the_certificate() -> None:
    """A client can verify the certificate of a server with TLS."""
    with testing.serving(tls=True) as server:
        server.add("ann", "secret", LETTER)
        assert server.tls_port
        context = ssl.create_default_context(cafile=server.certificate)
        for host in (server.host, "localhost"):
            tls = poplib.POP3_SSL(host, server.tls_port, timeout=20, context=context)
            tls.user("ann")
            assert tls.pass_("secret").startswith(b"+OK")
            tls.quit()
        clear = poplib.POP3(server.host, server.port, timeout=20)
        assert clear.stls(context).startswith(b"+OK")
        clear.quit()
        url = f"pop3s://ann@localhost:{server.tls_port}"
        with blocking.connect(url, password="secret", context=context) as drop:
            assert len(drop) == 1


def test_settings_are_the_servers() -> None:
    """Settings are those of the server."""
    with testing.serving(settings=ProtocolSettings(greeting="Hello.")) as server:
        client = poplib.POP3(server.host, server.port, timeout=20)
        assert client.getwelcome() == b"+OK Hello."
        client.quit()


def test_the_log_shows_events_and_no_password() -> None:
    """The log has the events and no password."""
    with testing.serving() as server:
        server.add("ann", "secret")
        assert not can_log_in(server, "ann", "wr0ng")
    assert "event=login_failed" in server.log
    assert "secret" not in server.log + repr(server)
    assert "wr0ng" not in server.log


def test_end_of_the_block() -> None:
    """At the block's end sessions are closed, and threads and ports are freed."""
    before = set(threading.enumerate())
    with testing.serving(tls=True) as server:
        server.add("ann", "secret", LETTER)
        client = poplib.POP3(server.host, server.port, timeout=20)
        assert server.certificate
        assert server.certificate.exists()
    with pytest.raises(poplib.error_proto, match="EOF"):
        client.noop()
    client.close()
    assert set(threading.enumerate()) <= before
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((server.host, server.port))


def test_two_servers_know_nothing_of_each_other() -> None:
    """Two servers share no account and no mail."""
    with testing.serving() as one, testing.serving() as other:
        one.add("ann", "secret", LETTER)
        assert one.port != other.port
        assert not can_log_in(other, "ann", "secret")
        assert other.messages("ann") == []


def test_error_in_the_block() -> None:
    """An error in the block is raised, and the server ends."""
    with pytest.raises(ZeroDivisionError), testing.serving() as server:
        raise ZeroDivisionError
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((server.host, server.port))


def test_maildrop_in_use() -> None:
    """The tested program gets IN-USE if the maildrop is in use."""
    with testing.serving() as server:
        server.add("ann", "secret")
        with session(server, "ann", "secret"), pytest.raises(poplib.error_proto, match="IN-USE"):
            with session(server, "ann", "secret"):
                pass


def test_a_server_may_give_up_on_an_idle_client() -> None:
    """A server with a short idle timeout disconnects an idle client."""
    with testing.serving(settings=ProtocolSettings(idle_timeout=0.1)) as server:
        server.add("ann", "secret", LETTER)
        with session(server, "ann", "secret"):
            assert server.messages("ann", timeout=10) == [LETTER]
        server.wait_closed()
    assert "end=timeout" in server.log
