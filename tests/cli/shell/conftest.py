"""A real server with an account, and a terminal at it."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cli.shell.terminal import PASSWORD, Terminal
from support.process import POP3, Served, free_port, serving, wait_for_port

YEAR = datetime.now(tz=UTC).year

HELLO = f"""\
From: Ann <ann@example.com>
To: bob@example.com
Date: 1 Jun {YEAR} 10:00:00 +0000
Subject: Hello

How are you?
""".encode()
INVOICE = f"""\
From: =?utf-8?q?J=C3=BCrgen?= <j@example.com>
Date: 2 Jun {YEAR} 10:00:00 +0000
Subject: =?utf-8?q?Rechnung_f=C3=BCr_Mai?=
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

Gr=C3=BC=C3=9Fe
--b
Content-Type: application/pdf
Content-Disposition: attachment; filename="mai.pdf"
Content-Transfer-Encoding: base64

JVBERg==
--b--
""".encode()
HOSTILE = (
    "From: \x1b[31m\x9b1m<x@example.com>\nSubject: \x1b]0;owned\x07 \u202etxt\n\n\x1b[2Jbody\n"
)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("served")) as served:
        yield served


@pytest.fixture
def account(server: Served, request: pytest.FixtureRequest) -> str:
    """Return the URL of a new account with three messages."""
    name = f"u{abs(hash(request.node.nodeid))}"
    server.add(name, PASSWORD, HELLO, INVOICE, HOSTILE.encode())
    return f"pop3://{name}@127.0.0.1:{server.port}"


@pytest.fixture
def maildir(account: str, server: Served) -> Path:
    return server.mail / account.partition("://")[2].partition("@")[0]


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Return the URLs of the demo account, the second one with TLS from the first octet."""
    ports = free_port(), free_port()
    command: list[str | Path] = [POP3, "serve", "--demo", tmp_path / "demo"]
    command += ["--listen", f"127.0.0.1:{ports[0]}", "--tls-listen", f"127.0.0.1:{ports[1]}"]
    command += ["--smtp", f"127.0.0.1:{free_port()}"]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, stdout=quiet, stderr=quiet) as process:
        try:
            for port in ports:
                wait_for_port(port, process)
            user = "info@example.com"
            yield f"pop3://{user}@127.0.0.1:{ports[0]}", f"pop3s://{user}@127.0.0.1:{ports[1]}"
        finally:
            process.kill()


@pytest.fixture
def sit_at(tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    """Return what sits a person down at an account, and waits for the prompt."""
    with contextlib.ExitStack() as stack:

        def sit(url: str, *options: str) -> Terminal:
            terminal = Terminal(url, tmp_path, options=options)
            stack.callback(terminal.child.close, force=True)
            terminal.banner = terminal.expect("pop3>")
            return terminal

        yield sit


@pytest.fixture
def terminal(account: str, sit_at: Callable[..., Terminal]) -> Terminal:
    return sit_at(account)
