"""A client's process, with limits of time, memory, file size and output."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

MIB = 1024 * 1024
MAX_OUTPUT = 64 * 1024  # octets that are kept: half of them from the beginning, half from the end
LARGEST_FILE = 256 * MIB
DRAIN = 1.0  # seconds for output that processes of another group still hold back


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one run.

    Attributes:
        seconds: how long it may take.
        memory: octets of address space, 0 for no limit.
    """

    seconds: float = 20.0
    memory: int = 1024 * MIB


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended: its exit code as `RunEvidence.exit`, and what it printed.

    Of more than `MAX_OUTPUT` octets, those in the middle are left out.
    """

    exit: int | None
    output: bytes


async def run(
    words: Sequence[str], folder: Path, environment: Mapping[str, str], limits: Limits
) -> Ended:
    """Run a command until it ends, or until its time is up; then end its process group.

    A command that cannot be started ends with the exit code of a shell, 126 or 127. Raises OSError:
    the shell itself cannot be started.
    """
    # ulimit counts memory in KiB and files in blocks of 512 octets; POSIX, ulimit.
    set_limits = f"ulimit -f {LARGEST_FILE // 512}; ulimit -c 0; "
    if limits.memory:
        set_limits += f"ulimit -v {limits.memory // 1024}; "
    process = await asyncio.create_subprocess_exec(
        "/bin/sh", "-c", set_limits + 'exec "$@"', "sh", *words,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT, cwd=folder, env=environment, start_new_session=True,
    )  # fmt: skip
    output = bytearray()
    assert process.stdout
    reading = asyncio.create_task(_read(process.stdout, output))
    code: int | None = None
    try:
        with contextlib.suppress(TimeoutError):
            code = await asyncio.wait_for(process.wait(), limits.seconds)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(reading, DRAIN)
    return Ended(code, bytes(output))


async def _read(stream: asyncio.StreamReader, output: bytearray) -> None:
    while chunk := await stream.read(MAX_OUTPUT):
        output += chunk
        if len(output) > MAX_OUTPUT:
            del output[MAX_OUTPUT // 2 : -MAX_OUTPUT // 2]
