"""Commands that users write into settings and options. They run without a shell."""

from __future__ import annotations

import os
import re
import shlex
import time
from typing import TYPE_CHECKING

from restante.system_errors import explain_path

if TYPE_CHECKING:
    import subprocess

SECONDS = 60  # a command may ask for a PIN
MAX_OUTPUT = 64 * 1024  # octets that a command prints

_QUOTED = re.compile(r"""\\.|'[^']*'|"(?:\\.|[^"\\])*\"""", re.DOTALL)
_SHELL = re.compile(r"(?<!\S)&&?(?!\S)|[|;<>]+|`|\$[A-Za-z_({]")
"""Signs that only a shell understands. Without one they are a part of a word, as of a password."""


def split_command(command: str) -> list[str]:
    """Return the words of a command: quotes count, and `~/` before a word is the home folder.

    Raises ValueError: it is empty, a quote is not closed, or it requires a shell.
    """
    try:
        words = shlex.split(command)
    except ValueError:
        raise ValueError("a quote is not closed") from None
    if not words:
        raise ValueError("it is empty")
    if found := _SHELL.search(_QUOTED.sub("_", command)):
        raise ValueError(
            f"it has {found[0]!r}, but no shell runs it; write sh -c '...' around the command, or"
            " quote the word"
        )
    return [os.path.expanduser(word) if word.startswith("~/") else word for word in words]


def read_output(command: str, name: str) -> bytes:
    """Run a command that prints a secret, and return what it prints.

    `name` is the setting that has the command. Raises ValueError: it failed, it did not end in
    time, or it printed too much. What it printed is not in the error.
    """
    import subprocess

    try:
        words = split_command(command)
        return _run(words)
    except (TimeoutError, subprocess.TimeoutExpired):
        reason = f"{words[0]} did not end within {SECONDS:g} seconds"
    except subprocess.CalledProcessError as error:
        reason = f"{words[0]} ended with {describe_end(error.returncode)}"
    except OSError as error:
        reason = explain_path(words[0], error)
    except ValueError as error:
        reason = str(error)
    raise ValueError(f"{name} failed: {reason}")


def _run(words: list[str]) -> bytes:
    """Run a command, and return what it prints. It is killed if it breaks a bound.

    Raises OSError, CalledProcessError, TimeoutError, TimeoutExpired; and ValueError: it prints too
    much.
    """
    import subprocess

    ends = time.monotonic() + SECONDS
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:  # noqa: S603  # the user's own
        try:
            output = _read(process, ends)
            code = process.wait(max(0.0, ends - time.monotonic()))
        except BaseException:
            process.kill()
            raise
    if code:
        raise subprocess.CalledProcessError(code, words)
    return output


def _read(process: subprocess.Popen[bytes], ends: float) -> bytes:
    """Return all that a process prints. Raises TimeoutError, and ValueError: it is too much."""
    import selectors

    assert process.stdout is not None
    output = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while selector.select(max(0.0, ends - time.monotonic())):
            octets = os.read(process.stdout.fileno(), MAX_OUTPUT)
            if not octets:
                return bytes(output)
            output += octets
            if len(output) > MAX_OUTPUT:
                raise ValueError(f"it printed more than {MAX_OUTPUT} octets")
    raise TimeoutError


def describe_end(code: int) -> str:
    """Return in words how a command ended: its exit code, or the signal."""
    import signal

    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:  # a real-time signal has no name
        return f"signal {-code}"
