"""The real command, `pop3 serve`, in a process of its own."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from support.live import PATIENCE, Client

POP3 = Path(sys.executable).parent / "pop3"


@dataclass
class Served:
    """A running `pop3 serve`, its mail and its accounts."""

    process: subprocess.Popen[bytes]
    port: int
    mail: Path
    users: Path
    log: Path
    tls_port: int = 0

    def add(self, user: str, password: str, *messages: bytes) -> Path:
        """Add an account with messages, and return its Maildir."""
        command: list[str | Path] = [POP3, "user", "add", user, "--password-stdin"]
        command += ["--users", self.users]
        subprocess.run(command, input=password.encode() + b"\n", check=True, capture_output=True)
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
        """Let VmHWM begin anew: to hash a password takes 19 MiB for a moment."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def stop(self) -> int:
        """End it as an administrator does, and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)


_given: set[int] = set()  # by free_port


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port that is free now, and that this process has not been given before."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    while True:
        with socket.socket(family) as probe:
            probe.bind((host, 0))
            port: int = probe.getsockname()[1]
        if port not in _given:
            _given.add(port)
            return port


@contextlib.contextmanager
def serving(folder: Path, *flags: str | Path) -> Iterator[Served]:
    """Run the command in a folder while the block runs."""
    mail, users, log = folder / "mail", folder / "users", folder / "log"
    mail.mkdir(exist_ok=True)
    users.touch()
    port = free_port()
    command: list[str | Path] = [POP3, "serve", "--listen", f"127.0.0.1:{port}"]
    command += ["--mail", mail, "--users", users, *flags]
    with log.open("wb") as file, subprocess.Popen(command, stderr=file) as process:
        try:
            wait_for_port(port, process)
            yield Served(process, port, mail, users, log)
        finally:
            process.kill()


def wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        assert process.poll() is None, "the server ended at once"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise AssertionError("the server does not listen")
