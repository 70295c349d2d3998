"""Secrets that a command of the user prints."""

from __future__ import annotations

from restante.oauth.errors import TokenStoreError
from restante.user_commands import read_output


def run_secret_command(command: str, option: str) -> bytes:
    """Return the first line that a command prints. `option` names the command in errors.

    Raises TokenStoreError: it failed, it did not end in time, or it printed nothing. What it
    printed is not in the error.
    """
    try:
        output = read_output(command, option)
    except ValueError as error:
        raise TokenStoreError(str(error)) from None
    line = output.split(b"\n")[0].removesuffix(b"\r")
    if not line:
        raise TokenStoreError(f"{option} printed nothing; it must print the secret as a line")
    return line
