"""A real nginx before the server: its proxy of mail ends TLS, and sends the PROXY header."""

from __future__ import annotations

import contextlib
import poplib
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from support import authority
from support.live import Client
from support.process import Served, free_port, serving, wait_for_port
from support.programs import need

MODULE = "/usr/lib/nginx/modules/ngx_mail_module.so"
CONFIG = """\
load_module {module};
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{}}
mail {{
  auth_http 127.0.0.1:{authenticator}/;
  pop3_capabilities TOP USER UIDL PIPELINING;
  pop3_auth plain;
  proxy_protocol on;
  proxy_pass_error_message on;
  server {{
    listen 127.0.0.1:{port} ssl;
    protocol pop3;
    ssl_certificate {folder}/nginx.pem;
    ssl_certificate_key {folder}/nginx.pem;
  }}
}}
"""


@contextlib.contextmanager
def naming(server: int) -> Iterator[int]:
    """Answer each question of nginx with this port, and give the port to ask at."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Auth-Status", "OK")
            self.send_header("Auth-Server", "127.0.0.1")
            self.send_header("Auth-Port", str(server))
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as authenticator:
        threading.Thread(target=authenticator.serve_forever, daemon=True).start()
        try:
            yield authenticator.server_address[1]
        finally:
            authenticator.shutdown()


@pytest.fixture
def behind_nginx(tmp_path: Path) -> Iterator[tuple[Served, int]]:
    """The server, and the port where nginx accepts TLS for it."""
    nginx = need("nginx")
    if not Path(MODULE).exists():
        need(MODULE)
    made = authority.make("nginx")
    (tmp_path / "nginx.pem").write_bytes(made.pem + authority.key_of(made))
    config = tmp_path / "restante.toml"
    config.write_text('[server]\nproxies = ["127.0.0.1/32"]\nworkers = 1\n')
    with serving(tmp_path, "--config", config) as served, naming(served.port) as authenticator:
        port = free_port()
        text = CONFIG.format(module=MODULE, folder=tmp_path, port=port, authenticator=authenticator)
        (tmp_path / "nginx.conf").write_text(text)
        command = [nginx, "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
            try:
                wait_for_port(port, process)
                yield served, port
            finally:
                process.terminate()


def tls() -> ssl.SSLContext:
    """Return the settings of a client that verifies nothing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def test_session_behind_nginx(behind_nginx: tuple[Served, int]) -> None:
    """A client fetches and deletes through nginx, and nginx passes each octet on."""
    served, port = behind_nginx
    message = b"Subject: hi\n\n.dot\n\xff\n"
    maildir = served.add("ann", "secret", message, b"Subject: stays\n\n")
    drop = poplib.POP3_SSL("127.0.0.1", port, context=tls(), timeout=20)
    drop.user("ann")
    drop.pass_("secret")
    assert drop.retr(1)[1] == [b"Subject: hi", b"", b".dot", b"\xff"]
    drop.dele(1)
    drop.quit()
    assert served.stop() == 0
    left = [path.read_bytes() for path in maildir.glob("[nc]*/*")]
    assert left == [b"Subject: stays\n\n"]


def test_address_behind_nginx(behind_nginx: tuple[Served, int]) -> None:
    """The log has the client's address from the header that nginx sends after the login."""
    served, port = behind_nginx
    served.add("ann", "secret")
    with Client(port, "127.0.0.2") as client:
        client.start_tls(tls())
        client.read_line()
        client.say("USER ann")
        assert client.say("PASS secret") == b"+OK Logged in.\r\n"
        client.say("QUIT")
    assert served.stop() == 0
    assert "event=login address=127.0.0.2 user=ann " in served.log.read_text()


def test_wrong_password_behind_nginx(behind_nginx: tuple[Served, int]) -> None:
    """nginx accepts any password here; the server rejects it, and the client reads why."""
    served, port = behind_nginx
    served.add("ann", "secret")
    drop = poplib.POP3_SSL("127.0.0.1", port, context=tls(), timeout=20)
    drop.user("ann")
    with pytest.raises(poplib.error_proto, match=r"\[AUTH\] "):
        drop.pass_("wrong")
    drop.close()
    assert served.stop() == 0
    assert "event=login_failed address=127.0.0.1 user=ann " in served.log.read_text()
