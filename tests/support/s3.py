"""S3 servers on this machine: moto, which behaves as S3 does, and one that misbehaves."""

from __future__ import annotations

import contextlib
import http.client
import importlib.util
import os
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from restante.protocol.secret import Secret
from support.process import free_port, wait_for_port

BUCKET = "mail"
KEY, HIDDEN = "restante", "hunter2-hunter2"


def need_moto() -> None:
    """Skip the test if moto is not installed; fail where the environment variable CI is set."""
    if importlib.util.find_spec("moto") is None:
        text = "moto is not installed; make .venv/test installs it"
        if os.environ.get("CI"):
            pytest.fail(text)
        pytest.skip(text)


def secret_for(port: int, host: str = "127.0.0.1") -> Secret:
    """Return what the file with the secrets has for a server at a port."""
    more = "" if host == "127.0.0.1" else "allow_http = true\n"
    return Secret(
        f'{more}endpoint = "http://{host}:{port}"\n'
        f'access_key_id = "{KEY}"\nsecret_access_key = "{HIDDEN}"\n'.encode()
    )


@dataclass
class S3:
    """A running server with a bucket."""

    port: int
    pid: int = 0  # of a process of its own
    host: str = "127.0.0.1"

    @property
    def secret(self) -> Secret:
        return secret_for(self.port, self.host)

    def make_bucket(self, name: str) -> str:
        """Make an empty bucket, and return its address."""
        address = f"http://{self.host}:{self.port}/{name}"
        with urllib.request.urlopen(urllib.request.Request(address, method="PUT")):
            return f"s3://{name}"


@contextlib.contextmanager
def moto(host: str = "127.0.0.1") -> Iterator[S3]:
    """Run moto while the block runs. It keeps all in memory."""
    need_moto()
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", host, "-p", str(port)]
    silent = subprocess.DEVNULL
    with subprocess.Popen(command, stdout=silent, stderr=silent) as process:
        try:
            wait_for_port(port, process, host)
            yield S3(port, process.pid, host)
        finally:
            process.kill()


@dataclass
class Answer:
    """A server's answer to a request."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


Request = tuple[str, str, dict[str, str], bytes]
"""A request: its method, path, headers and body."""


def forward(port: int, request: Request) -> Answer:
    """Return what the server at a port says to a request."""
    method, path, headers, body = request
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body, headers)
        reply = connection.getresponse()
        return Answer(reply.status, reply.getheaders(), reply.read())
    finally:
        connection.close()


@contextlib.contextmanager
def answering(answer: Callable[[Request], Answer]) -> Iterator[S3]:
    """Run a server that answers each request by a function while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_request(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            said = answer((self.command, self.path, dict(self.headers.items()), body))
            self.send_response(said.status)
            skipped = {"connection", "date", "server", "transfer-encoding"}
            lengths = [value for name, value in said.headers if name.lower() == "content-length"]
            for name, value in said.headers:
                if name.lower() not in {*skipped, "content-length"}:
                    self.send_header(name, value)
            length = lengths[0] if self.command == "HEAD" and lengths else str(len(said.body))
            self.send_header("Content-Length", length)
            self.end_headers()
            self.wfile.write(said.body)

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_request  # noqa: N815  # its names

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield S3(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
