"""Commands that users write into settings and options. They run without a shell."""

from __future__ import annotations

import os
import shlex

SECONDS = 60  # a command may ask for a PIN


def split_command(command: str) -> list[str]:
    """Return the words of a command: quotes count, and `~/` before a word is the home folder.

    Raises ValueError: it is empty, or a quote is not closed.
    """
    try:
        words = shlex.split(command)
    except ValueError:
        raise ValueError("a quote is not closed") from None
    if not words:
        raise ValueError("it is empty")
    return [os.path.expanduser(word) if word.startswith("~/") else word for word in words]


def read_output(command: str, name: str) -> bytes:
    """Run a command that prints a secret, and return what it prints.

    `name` is the setting that has the command. Raises ValueError: it failed, or it did not end in
    time. What it printed is not in the error.
    """
    import subprocess

    try:
        words = split_command(command)
        done = subprocess.run(words, stdout=subprocess.PIPE, check=True, timeout=SECONDS)  # noqa: S603  # it is the user's own
    except subprocess.TimeoutExpired:
        reason = f"{words[0]} did not end within {SECONDS:g} seconds"
    except subprocess.CalledProcessError as error:
        reason = f"{words[0]} ended with {_describe_end(error.returncode)}"
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
    else:
        return done.stdout
    raise ValueError(f"{name} failed: {reason}")


def _describe_end(code: int) -> str:
    import signal

    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:  # a real-time signal has no name
        return f"signal {-code}"
