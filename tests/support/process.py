"""The real command, `pop3 serve`, in a process of its own."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from restante.auth.file import passwd_entry, passwd_file
from restante.server.tls.certificate_files import CertificateFiles
from restante.server.tls.self_signed import create_self_signed
from support.fork_server import AT_START, COMMAND, ForkedProcess, at_start, fork_server
from support.live import PATIENCE, Client
from support.passwords import quick_hash, quick_keys

POP3 = COMMAND  # a test may put another program in its place


Process: TypeAlias = subprocess.Popen[bytes] | ForkedProcess


@dataclass
class Served:
    """A running `pop3 serve`, its mail and its accounts."""

    process: Process
    port: int
    mail: Path
    users: Path
    log: Path
    tls_port: int = 0

    def add(self, user: str, password: str, *messages: bytes) -> Path:
        """Add an account with messages, and return its Maildir."""
        hashed = quick_hash(password.encode())
        keys = {"SCRAM-SHA-256": quick_keys("SCRAM-SHA-256", password.encode())}
        with passwd_file.edit(self.users) as lines:
            lines.append(passwd_entry.replace_credentials(f"{user}:", hashed, keys))
        maildir = self.mail / user
        for part in ("tmp", "new", "cur"):
            (maildir / part).mkdir(parents=True)
        for number, message in enumerate(messages, 1):
            (maildir / "new" / f"{number}.test").write_bytes(message)
        return maildir

    def connect(self) -> Client:
        return Client(self.port)

    def memory(self, what: str = "VmRSS") -> int:
        """Return the octets that the process holds now (VmRSS), or held at most (VmHWM)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith(what))
        return int(line.split()[1]) * 1024

    def forget_peak(self) -> None:
        """Let VmHWM begin anew."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def stop(self) -> int:
        """End it as an administrator does, and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)


_PORTS = range(10_000, 30_000)  # below those that the system gives for port 0
reserved: list[socket.socket] = []  # sockets whose names stand for ports


@contextlib.contextmanager
def full_port(host: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """Give a port that neither accepts nor refuses more connections."""
    with contextlib.ExitStack() as held:
        listener = held.enter_context(socket.socket())
        listener.bind((host, port))
        listener.listen(0)
        port = listener.getsockname()[1]
        for _ in range(4):  # fill the queue of connections to accept
            waiting = held.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex((host, port))
        yield port


def free_port(host: str = "127.0.0.1") -> int:
    """Return a free port that no other test gets while this process lives.

    It is reserved by a name in the kernel, for between here and the server's start another process
    could take it; and no client's end and no server on "any port" ever has a port of this range.
    """
    while True:
        port = random.choice(_PORTS)
        name = socket.socket(socket.AF_UNIX)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with contextlib.suppress(OSError), socket.socket(family) as probe:
            name.bind(f"\0restante-test-port-{port}")
            probe.bind((host, port))
            reserved.append(name)
            return port
        name.close()


def _start(command: Sequence[str | Path], errors: int) -> Process:
    return subprocess.Popen(command, stderr=errors)


def _start_or_fork(command: Sequence[str | Path], errors: int) -> Process:
    environment = dict(os.environ)
    if command[0] != COMMAND or at_start(environment) != AT_START:
        return _start(command, errors)
    return fork_server().start([str(word) for word in command], environment, 0, 1, errors)


@contextlib.contextmanager
def serving(folder: Path, *flags: str | Path, measured: bool = False) -> Iterator[Served]:
    """Run the command in a folder while the block runs.

    One that is `measured` is not forked: it has the memory of the command alone.
    """
    mail, users, log = folder / "mail", folder / "users", folder / "log"
    mail.mkdir(exist_ok=True)
    users.touch()
    port = free_port()
    command: list[str | Path] = [POP3, "serve", "--listen", f"127.0.0.1:{port}"]
    command += ["--mail", mail, "--users", users, *flags]
    start = _start if measured else _start_or_fork
    with log.open("wb") as file, start(command, file.fileno()) as process:
        try:
            wait_for_port(port, process)
            yield Served(process, port, mail, users, log)
        finally:
            process.kill()


TLS = """\
[tls]
listen = ["127.0.0.1:{port}"]
certificates = [{{ certificate = "certificate.pem", key = "key.pem" }}]
"""


def write_certificate(folder: Path) -> CertificateFiles:
    """Write a self-signed certificate for localhost, and its key."""
    files = CertificateFiles(folder / "certificate.pem", folder / "key.pem")
    made = create_self_signed(("localhost",), ("127.0.0.1",))
    files.certificate.write_bytes(made.certificate)
    files.key.write_bytes(made.key)
    return files


@contextlib.contextmanager
def serving_tls(folder: Path, config: str) -> Iterator[Served]:
    """Run the command with a configuration, on a port with TLS, too."""
    write_certificate(folder)
    port, file = free_port(), folder / "restante.toml"
    file.write_text(config + TLS.format(port=port))
    with serving(folder, "--config", file) as running:
        wait_for_port(port, running.process)
        running.tls_port = port
        yield running


def wait_for_port(port: int, process: Process, host: str = "127.0.0.1") -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        assert process.poll() is None, "the server ended at once"
        with contextlib.suppress(OSError), socket.create_connection((host, port), 1):
            return
        time.sleep(0.02)
    raise AssertionError("the server does not listen")
