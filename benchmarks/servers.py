"""Servers that run on loopback, held to given cores: Restante, and the canned one."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from mail import PASSWORD
from restante.server.tls import self_signed
from support.process import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

_TICKS = os.sysconf("SC_CLK_TCK")  # a second, as the kernel counts processor time


@dataclass(frozen=True, slots=True)
class Running:
    """A server that runs."""

    name: str
    port: int
    pid: int
    tls_port: int = 0  # where TLS comes first; 0 without

    def memory(self) -> int:
        """Return the octets that its processes hold together, shared pages divided."""
        return sum(map(_proportional, _family(self.pid)))

    def cpu(self) -> float:
        """Return the seconds of the processor that it has used, ended processes included."""
        return sum(map(_used, _family(self.pid)))


def _family(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *(descendant for child in children for descendant in _family(int(child)))]
    return []


def _proportional(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def _used(pid: int) -> float:
    """Return the seconds of a process, to the nanosecond, and of the children it waited for."""
    with contextlib.suppress(OSError):
        told = Path(f"/proc/{pid}/stat").read_text()
        ended = sum(map(int, told.rpartition(")")[2].split()[13:15])) / _TICKS
        return ended + time.clock_gettime(~pid << 3 | 2)  # clock_getcpuclockid(3)
    return 0.0


@contextlib.contextmanager
def restante(  # noqa: PLR0913  # the last three have defaults
    folder: Path,
    mail: Path,
    cores: set[int] | None,
    *,
    workers: int = 1,
    accounts: str = "",
    program: Path = Path(sys.executable).parent / "pop3",
) -> Iterator[Running]:
    """Run Restante, with TLS, sha512-crypt passwords, lock, limits and log on.

    `accounts` are lines for the configuration's section of that name, in place of a file of all.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port, tls_port = free_port(), free_port()
    certificate, key = certified(folder)
    users, config = folder / "users", folder / "restante.toml"
    stored = crypted()
    users.write_text("".join(f"{box.name}:{stored}\n" for box in sorted(mail.iterdir())))
    users.chmod(0o600)
    accounts = accounts or f'users = "{users}"'
    several = f"workers = {workers}" if workers > 1 else ""
    config.write_text(
        f'[server]\nlisten = ["127.0.0.1:{port}"]\n{several}\n'
        f'[mail]\nfolder = "{mail}"\n[accounts]\n{accounts}\n'
        f'[tls]\nlisten = ["127.0.0.1:{tls_port}"]\n'
        f'[[tls.certificates]]\ncertificate = "{certificate}"\nkey = "{key}"\n'
    )
    command = [str(program), "serve", "--config", str(config)]
    with running(command, folder, port, cores) as process:
        yield Running("Restante", port, process.pid, tls_port)


@contextlib.contextmanager
def canned(
    program: Path, folder: Path, cores: set[int] | None, messages: int, octets: int
) -> Iterator[Running]:
    """Run the server that answers from memory: the upper bound."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    command = [str(program), str(port), str(messages), str(octets)]
    with running(command, folder, port, cores) as process:
        yield Running("canned", port, process.pid)


@contextlib.contextmanager
def running(
    command: list[str], folder: Path, port: int, cores: set[int] | None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command on some cores until the block ends; it must listen before the block starts."""
    with (
        (folder / "output").open("wb") as output,
        subprocess.Popen(
            held(cores) + command, stdout=output, stderr=output, start_new_session=True
        ) as process,
    ):
        try:
            _wait_for(port, process, folder / "output")
            yield process
        finally:
            _end(process)


def held(cores: set[int] | None) -> list[str]:
    """Return what to write before a command that is to run on these cores; None for any."""
    return ["taskset", "-c", ",".join(map(str, sorted(cores)))] if cores else []


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the server, and what it leaves behind in its group."""
    process.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(10)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _wait_for(port: int, process: subprocess.Popen[bytes], output: Path) -> None:
    for _ in range(400):
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise RuntimeError(f"{process.args!r} does not listen: {output.read_text(errors='replace')}")


def certified(folder: Path) -> tuple[Path, Path]:
    """Return the files of a certificate with a P-256 key, and of its key, made in a folder."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    made = self_signed.create_self_signed(["localhost"])
    certificate.write_bytes(made.certificate)
    key.touch(0o600)
    key.write_bytes(made.key)
    return certificate, key


def crypted() -> str:
    """Return the password as every server here can check it."""
    said = subprocess.run(
        ["openssl", "passwd", "-6", "-salt", "benchmark", "-stdin"],
        input=PASSWORD.encode(), capture_output=True, check=True,
    )  # fmt: skip
    return said.stdout.decode().strip()
