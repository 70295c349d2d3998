"""Commands of the user's own, bounded: their time, their output, and what they leave running.

A command need not read its input. It may leave a process running that keeps its output open,
and may write without an end. None of it delays the fetcher beyond the command's own end.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from restante.fetch.interfaces import DestinationUnavailableError
from restante.net.connecting import seconds_until
from restante.protocol.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

MAX_OUTPUT = 4096  # octets of the output that are kept
GRACE = 2.0  # seconds between SIGTERM and SIGKILL
CHUNK = 64 * 1024  # octets that are read at once
MAX_LEFT = 4 * 1024 * 1024  # octets that are read when a command has ended: a pipe holds fewer
LONGEST_PAUSE = 0.05  # seconds until the next look whether a command with open output has ended

_SHOWN = 300  # characters of the output in an error


@dataclass(frozen=True, slots=True)
class CommandEnd:
    """How a command ended.

    Attributes:
        code: its exit code; negative for a signal; None if it needed too long and was killed.
        output: the beginning of what it wrote, standard output and standard error.
    """

    code: int | None
    output: bytes

    def __str__(self) -> str:
        text = printable(" ".join(self.output.decode("utf-8", "replace").split()))[:_SHOWN]
        return f"{self._end()}: {text}" if text else self._end()

    def _end(self) -> str:
        if self.code is None:
            return "did not end in time and was killed"
        if self.code >= 0:
            return f"ended with exit code {self.code}"
        try:
            return f"was killed by {signal.Signals(-self.code).name}"
        except ValueError:
            return f"was killed by signal {-self.code}"


def run_command(
    command: Sequence[str],
    stdin: int,
    seconds: float,
    environment: Mapping[str, str],
    sink: Callable[[bytes], None] | None = None,
) -> CommandEnd:
    """Run a command, with a descriptor as its input, and return how it ended.

    `sink` gets its standard output in pieces, and may raise; without it, the output is kept beside
    that of standard error. Its variables of `environment` are added to those of this process. It
    has a session of its own, which is killed if the command needs more seconds.
    Raises DestinationUnavailableError: it cannot be run.
    """
    ends = time.monotonic() + seconds
    try:
        process = subprocess.Popen(  # noqa: S603  # the user's own command, without a shell
            command,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if sink else subprocess.STDOUT,
            bufsize=0,
            start_new_session=True,
            env={**os.environ, **environment},
        )
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise DestinationUnavailableError(
            f"the command {command[0]} cannot be run: {why}"
        ) from error
    output = bytearray()

    def keep(octets: bytes) -> None:
        output.extend(octets[: MAX_OUTPUT - len(output)])

    with contextlib.ExitStack() as opened:
        sinks = [(process.stdout, sink or keep), (process.stderr, keep)]
        outputs = [(opened.enter_context(file), to) for file, to in sinks if file]
        try:
            _read_output(process, outputs, ends)
            return CommandEnd(process.wait(seconds_until(ends)), bytes(output))
        except (subprocess.TimeoutExpired, TimeoutError):
            end_command(process)
            return CommandEnd(None, bytes(output))
        except BaseException:
            end_command(process)
            raise


def _read_output(
    process: subprocess.Popen[bytes],
    outputs: Sequence[tuple[IO[bytes], Callable[[bytes], None]]],
    ends: float,
) -> None:
    """Read outputs until they are closed or the command ends. Raises TimeoutError."""
    pause = 0.001
    left = MAX_LEFT
    with selectors.DefaultSelector() as selector:
        for file, sink in outputs:
            selector.register(file, selectors.EVENT_READ, sink)
        while selector.get_map():
            ended = process.poll() is not None
            ready = selector.select(0 if ended else min(pause, seconds_until(ends)))
            for key, _ in ready:
                octets = os.read(key.fd, CHUNK)
                key.data(octets)
                if not octets:
                    selector.unregister(key.fileobj)
            if ended:
                left -= CHUNK
                if not ready or left <= 0:
                    return  # what it left running keeps its output open, or writes without an end
            pause = min(2 * pause, LONGEST_PAUSE)


def end_command(process: subprocess.Popen[bytes]) -> None:
    """End a command and what it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
