"""Secrets that a command of the user prints."""

from __future__ import annotations

import subprocess

from restante.oauth.errors import TokenStoreError
from restante.user_commands import split_command

SECONDS = 60  # the command may ask for a PIN


def run_secret_command(command: str, option: str) -> bytes:
    """Return the first line that a command prints. `option` names the command in errors.

    Raises TokenStoreError: it failed, it did not end in time, or it printed nothing. What it
    printed is not in the error.
    """
    try:
        words = split_command(command)
        done = subprocess.run(words, stdout=subprocess.PIPE, check=True, timeout=SECONDS)  # noqa: S603  # it is the user's own
    except subprocess.TimeoutExpired:
        raise TokenStoreError(f"{option} did not end within {SECONDS} seconds") from None
    except subprocess.CalledProcessError as error:
        text = f"{option} failed: {words[0]} ended with exit code {error.returncode}"
        raise TokenStoreError(text) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise TokenStoreError(f"{option} failed: {reason}") from None
    line = done.stdout.split(b"\n")[0].removesuffix(b"\r")
    if not line:
        raise TokenStoreError(f"{option} printed nothing; it must print the secret as a line")
    return line
