"""Secrets that a command of the user prints."""

from __future__ import annotations

from restante.oauth.errors import TokenStoreError
from restante.protocol.secret import Secret
from restante.user_commands import read_output


def run_client_secret_command(command: str) -> Secret:
    """Return the client's secret that a command prints. Raises TokenStoreError, as below.

    It must be UTF-8, since requests to issuers have it as text.
    """
    line = run_secret_command(command, "client_secret_command")
    try:
        line.decode()
    except UnicodeDecodeError:
        raise TokenStoreError("client_secret_command printed a secret that is not UTF-8") from None
    return Secret(line)


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
