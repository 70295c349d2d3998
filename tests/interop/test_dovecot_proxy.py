"""A real Dovecot before the server, as a proxy that names its clients by XCLIENT."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from restante.auth.file import passwd_file
from support import dovecot_2_4
from support.dovecot import dovecot
from support.live import Client, wait_until
from support.other_user import public_folder
from support.process import Served, serving_tls
from support.programs import need

PROXY = """\
passdb {{{{
  driver = static
  args = proxy=y nopassword=y host=127.0.0.1 port={port} {tls}
}}}}
"""
PROXY_2_4 = """\
passdb static {{{{
  fields {{{{
    proxy = yes
    nopassword = yes
    host = 127.0.0.1
    port = {port}
    {tls}
  }}}}
}}}}
"""
CONFIG = """\
[server]
xclient_proxies = ["127.0.0.1"]
[limits]
connections_per_address = 1
count_loopback = true
"""
LOGGED_IN = b"+OK Logged in.\r\n"


@dataclass
class Proxied:
    """A server behind Dovecot, and Dovecot's port and log."""

    server: Served
    port: int
    log: Path

    @contextlib.contextmanager
    def logged_in(self, user: str, password: str, source: str) -> Iterator[bytes]:
        """Log in from an address, and give the reply to PASS."""
        with Client(self.port, source) as client:
            client.read_line()
            client.say(f"USER {user}")
            yield client.say(f"PASS {password}")

    def wait_for_log(self, text: str) -> None:
        wait_until(lambda: text in self.server.log.read_text())


@contextlib.contextmanager
def behind(folder: Path, tls: str = "") -> Iterator[Proxied]:
    """Run the server behind Dovecot, with an account."""
    need("dovecot")
    passdb = PROXY_2_4 if dovecot_2_4.is_installed() else PROXY
    with serving_tls(folder, CONFIG) as server, public_folder() as place:
        server.add("ann", "secret", b"Subject: hi\n\n.dot\n")
        port = server.tls_port if tls.startswith("ssl") else server.port
        with dovecot(place, "", accounts=passdb.format(port=port, tls=tls)) as running:
            yield Proxied(server, running.port, place / "log")


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    """A server behind Dovecot, without TLS between them."""
    with behind(tmp_path_factory.mktemp("proxied")) as found:
        found.server.add("bob", "secret")
        found.server.add("cat", "secret")
        with passwd_file.edit(found.server.users) as lines:
            lines[-1] += " allow_nets=127.0.0.6"
        yield found


@pytest.mark.parametrize("tls", ["", "starttls=any-cert", "ssl=any-cert"])
def test_session(tmp_path: Path, tls: str) -> None:
    """The log has the client's address, also if Dovecot uses TLS to the server."""
    with behind(tmp_path, tls) as proxied:
        with Client(proxied.port, "127.0.0.2") as client:
            client.log_in("ann", "secret")
            assert client.say("RETR 1").startswith(b"+OK ")
            assert client.read_lines() == [b"Subject: hi\r\n", b"\r\n", b"..dot\r\n"]
            assert client.say("QUIT").startswith(b"+OK ")
        assert proxied.server.stop() == 0
        log = proxied.server.log.read_text()
    assert "event=login address=127.0.0.2 user=ann " in log
    assert "event=session address=127.0.0.2 user=ann " in log
    assert ('tls="TLSv1.' in log) == bool(tls)


def test_limit_of_an_address(proxied: Proxied) -> None:
    """Each client of Dovecot has the limit of one address for itself."""
    with (
        proxied.logged_in("ann", "secret", "127.0.0.2") as first,
        proxied.logged_in("bob", "secret", "127.0.0.3") as other,
        proxied.logged_in("bob", "secret", "127.0.0.2") as second,
    ):
        assert [first, other] == [LOGGED_IN] * 2
        assert second.startswith(b"-ERR [SYS/TEMP] ")
    reason = "XCLIENT failed: -ERR [SYS/TEMP] Too many connections"
    wait_until(lambda: reason in proxied.log.read_text())  # a process of Dovecot writes it later


def test_wrong_password(proxied: Proxied) -> None:
    """The client reads why its login fails, and the log has its address."""
    with proxied.logged_in("ann", "wrong", "127.0.0.4") as said:
        assert said.startswith(b"-ERR [AUTH] ")
    proxied.wait_for_log("event=login_failed address=127.0.0.4 user=ann ")


@pytest.mark.parametrize("address", ["127.0.0.5", "127.0.0.6"])
def test_allow_nets(proxied: Proxied, address: str) -> None:
    """The networks of an account are those of its clients, and not of Dovecot."""
    with proxied.logged_in("cat", "secret", address) as said:
        assert (said == LOGGED_IN) == (address == "127.0.0.6")
    proxied.wait_for_log(f"event=session address={address} ")
