"""A real HAProxy before the server, with every form of header that it sends."""

from __future__ import annotations

import contextlib
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import authority
from support.live import Client
from support.passwords import quick_hash
from support.process import Served, free_port, serving, wait_for_port
from support.programs import need

CONFIG = """\
global
  stats timeout 5s
defaults
  mode tcp
  timeout connect 20s
  timeout client 20s
  timeout server 20s
frontend clients
  bind 127.0.0.1:{port} {bind}
  default_backend server
backend server
  server restante 127.0.0.1:{server} {send} {check}
"""
TLS = "ssl crt {folder}/server.pem ca-file {folder}/ca.pem verify optional"


@contextlib.contextmanager
def behind(
    folder: Path, send: str, bind: str = "", check: str = ""
) -> Iterator[tuple[Served, int]]:
    """Run the server behind HAProxy, and give it and HAProxy's port."""
    haproxy = need("haproxy")
    config = folder / "restante.toml"
    config.write_text('[server]\nproxies = ["127.0.0.1/32"]\nworkers = 1\n')
    with serving(folder, "--config", config) as served:
        served.add("ann", "secret")
        port = free_port()
        text = CONFIG.format(
            port=port, server=served.port, send=send, check=check, bind=bind.format(folder=folder)
        )
        (folder / "haproxy.cfg").write_text(text)
        with subprocess.Popen([haproxy, "-db", "-q", "-f", folder / "haproxy.cfg"]) as process:
            try:
                wait_for_port(port, process)
                yield served, port
            finally:
                process.kill()


def client_of(port: int, certificate: Path | None = None) -> Client:
    """Return a client with TLS, and a certificate where one is given."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if certificate:
        context.load_cert_chain(certificate)
    client = Client(port)
    client.start_tls(context)
    return client


def write_certificates(folder: Path) -> None:
    """Write a server's certificate, an authority, and one of hers for ann."""
    ca = authority.make("ca", authority=True)
    (folder / "ca.pem").write_bytes(ca.pem)
    for name, made in {
        "server": authority.make("server"),
        "ann": authority.make("ann", issuer=ca),
    }.items():
        (folder / f"{name}.pem").write_bytes(made.pem + authority.key_of(made))


@pytest.mark.parametrize("send", ["send-proxy", "send-proxy-v2"])
def test_clear_text_behind_haproxy(tmp_path: Path, send: str) -> None:
    """A client on this machine is one behind a proxy on this machine too."""
    with behind(tmp_path, send) as (served, port):
        with Client(port) as client:
            client.log_in("ann", "secret")
            client.say("QUIT")
        assert served.stop() == 0
        assert "user=ann tls= octets_in" in served.log.read_text()


@pytest.mark.parametrize("send", ["send-proxy", "send-proxy-v2"])
def test_allowed_networks_behind_haproxy(tmp_path: Path, send: str) -> None:
    """`allow_nets` is about the address of the client, and not about that of the proxy."""
    with behind(tmp_path, send) as (served, port):
        hashed = quick_hash(b"secret")
        networks = {"ann": "127.0.0.2", "bob": "127.0.0.1"}
        lines = [f"{user}:{hashed}::::::allow_nets={net}\n" for user, net in networks.items()]
        served.users.write_text("".join(lines))
        replies = {}
        for user, source in (("ann", "127.0.0.2"), ("ann", "127.0.0.3"), ("bob", "127.0.0.2")):
            with Client(port, source) as client:
                client.read_line()
                client.say(f"USER {user}")
                replies[user, source] = client.say("PASS secret")[:3]
        assert served.stop() == 0
        log = served.log.read_text()
    assert replies == {
        ("ann", "127.0.0.2"): b"+OK",
        ("ann", "127.0.0.3"): b"-ER",
        ("bob", "127.0.0.2"): b"-ER",
    }
    refused = [line for line in log.splitlines() if "event=login_failed" in line]
    assert "address=127.0.0.3 user=ann " in refused[0]
    assert "address=127.0.0.2 user=bob " in refused[1]
    assert all('reason="the address is not in allow_nets"' in line for line in refused)


@pytest.mark.parametrize("send", ["send-proxy-v2-ssl", "send-proxy-v2-ssl-cn"])
@pytest.mark.parametrize("shown", [None, "ann"])
def test_tls_at_haproxy(tmp_path: Path, send: str, shown: str | None) -> None:
    """TLS that ends at HAProxy counts as TLS, and its details are in the log."""
    write_certificates(tmp_path)
    with behind(tmp_path, send, TLS) as (served, port):
        with client_of(port, tmp_path / f"{shown}.pem" if shown else None) as client:
            client.read_line()
            client.say("CAPA")
            assert b"STLS\r\n" not in client.read_lines()
            client.say("USER ann")
            assert client.say("PASS secret") == b"+OK Logged in.\r\n"
            client.say("QUIT")
        assert served.stop() == 0
        log = served.log.read_text()
    assert "user=ann tls=TLSv1.3 " in log or 'user=ann tls="TLSv1.3 TLS_' in log
    assert ("certificate=ann certificate_verified=True" in log) == bool(shown and "cn" in send)


def test_no_tls_is_reported_without_the_ssl_form(tmp_path: Path) -> None:
    """Where HAProxy does not say that there was TLS, there was none."""
    write_certificates(tmp_path)
    with behind(tmp_path, "send-proxy-v2", TLS) as (served, port):
        with client_of(port) as client:
            client.log_in("ann", "secret")
            client.say("QUIT")
        assert served.stop() == 0
        assert "user=ann tls= " in served.log.read_text()


def test_health_checks_are_the_proxys_own(tmp_path: Path) -> None:
    """HAProxy's checks come as LOCAL, from the proxy's address."""
    with behind(tmp_path, "send-proxy-v2", check="check inter 100ms check-send-proxy") as (
        served,
        port,
    ):
        with Client(port) as client:
            assert client.read_line().startswith(b"+OK")
        assert served.stop() == 0
        log = served.log.read_text()
    assert "address=127.0.0.1 " in log
    assert "address=unknown" not in log
    assert log.count("no proxy header") == 1  # of the test, which found the port
