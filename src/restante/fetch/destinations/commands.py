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
from typing import TYPE_CHECKING

from restante.fetch.interfaces import DestinationUnavailableError
from restante.net.connecting import seconds_until
from restante.protocol.text import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_OUTPUT = 4096  # octets of the output that are kept
GRACE = 2.0  # seconds between SIGTERM and SIGKILL
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
    command: Sequence[str], stdin: int, seconds: float, **environment: str
) -> CommandEnd:
    """Run a command, with a descriptor as its input, and return how it ended.

    Its variables of `environment` are added to those of this process. It has a session of its own,
    which is killed if the command needs more seconds. Raises DestinationUnavailableError.
    """
    ends = time.monotonic() + seconds
    try:
        process = subprocess.Popen(  # noqa: S603  # the user's own command, without a shell
            command,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            start_new_session=True,
            env={**os.environ, **environment},
        )
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise DestinationUnavailableError(
            f"the command {command[0]} cannot be run: {why}"
        ) from error
    said = bytearray()
    assert process.stdout
    with process.stdout as output:
        try:
            _read_output(process, output.fileno(), ends, said)
            return CommandEnd(process.wait(seconds_until(ends)), bytes(said))
        except (subprocess.TimeoutExpired, TimeoutError):
            end_command(process)
            return CommandEnd(None, bytes(said))
        except BaseException:
            end_command(process)
            raise


def _read_output(
    process: subprocess.Popen[bytes], output: int, ends: float, said: bytearray
) -> None:
    """Read the output until it is closed or the command ends. Raises TimeoutError."""
    pause = 0.001
    with selectors.DefaultSelector() as selector:
        selector.register(output, selectors.EVENT_READ)
        while True:
            ended = process.poll() is not None
            ready = selector.select(0 if ended else min(pause, seconds_until(ends)))
            octets = os.read(output, MOST_OUTPUT) if ready else b""
            said += octets[: MOST_OUTPUT - len(said)]
            if ready and not octets:
                return
            if ended and (not ready or len(said) >= MOST_OUTPUT):
                return  # what it left running keeps the output open, or writes without an end
            pause = min(2 * pause, LONGEST_PAUSE)


def end_command(process: subprocess.Popen[bytes]) -> None:
    """End a command and what it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
            if number is signal.SIGKILL:
                return
