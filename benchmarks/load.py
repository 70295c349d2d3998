"""The load generator and the canned server, compiled; and what the load found."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from servers import held

if TYPE_CHECKING:
    from collections.abc import Iterator

    from servers import Running

SOURCES = Path(__file__).parent
PROGRAMS = {
    "load": ("load.c", "session.c", "script.c", "tls.c", "-lssl", "-lcrypto"),
    "canned": ("canned.c",),
}


class Result(msgspec.Struct, frozen=True):
    """The results of one run of the load.

    Attributes:
        sessions: How many were completed, and clocked.
        refused: How many the server did not let in; only the storm allows that.
        seconds: How long it took.
        octets: All that the server sent.
        replies: All that were checked.
        resumed: How many TLS handshakes were short, because the server accepted a ticket.
        p50: Milliseconds by the scenario's clock; p99 and max likewise.
        cpu: Seconds of the processor that the load itself used.
        server_cpu: Seconds of the processor that the server used meanwhile.
    """

    sessions: int
    refused: int
    seconds: float
    octets: int
    replies: int
    p50: float
    p99: float
    max: float
    cpu: float
    resumed: int = 0
    server_cpu: float = 0.0

    @property
    def rate(self) -> float:
        """Sessions a second."""
        return self.sessions / self.seconds

    @property
    def megabytes(self) -> float:
        """Millions of octets a second."""
        return self.octets / self.seconds / 1e6


def build(folder: Path) -> None:
    """Compile both programs into a folder.

    Raises RuntimeError: there is no C compiler. Raises CalledProcessError: no headers of OpenSSL.
    """
    compiler = shutil.which("cc")
    if compiler is None:
        raise RuntimeError("the load generator requires a C compiler: install gcc and libc6-dev")
    folder.mkdir(parents=True, exist_ok=True)
    for name, sources in PROGRAMS.items():
        command = [compiler, "-std=gnu11", "-O2", "-Wall", "-Wextra", "-o", str(folder / name)]
        subprocess.run([*command, *sources], cwd=SOURCES, check=True)


def run(
    program: Path, cores: set[int] | None, server: Running, scenario: str, **options: float
) -> Result:
    """Return what the load found when it ran on some cores, or on any.

    Raises RuntimeError: when a reply was wrong, or the load did not end.
    """
    before = server.cpu()
    patience = 60 + 2 * options.get("seconds", 1)
    said = subprocess.run(
        _command(program, cores, server, scenario, options),
        capture_output=True, timeout=patience, check=False,
    )  # fmt: skip
    if said.returncode:
        told = said.stderr.decode(errors="replace").strip()
        raise RuntimeError(f"{scenario} of {server.name}: {told}")
    found = msgspec.json.decode(said.stdout, type=Result)
    return msgspec.structs.replace(found, server_cpu=server.cpu() - before)


@contextlib.contextmanager
def staying(program: Path, cores: set[int], server: Running, **options: float) -> Iterator[None]:
    """Keep connections open that have logged in, while the block runs."""
    command = _command(program, cores, server, "idle", {"seconds": 120, **options})
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        if process.stdout.readline() != b"ready\n":
            raise RuntimeError(f"not all clients of {server.name} could log in")
        yield
        process.communicate()


def _command(
    program: Path, cores: set[int] | None, server: Running, scenario: str, options: dict[str, float]
) -> list[str]:
    words = [f"{key}={float(value):.9g}" for key, value in options.items()]
    port = server.tls_port if options.get("tls") else server.port
    return [*held(cores), str(program), str(port), scenario, *words]
