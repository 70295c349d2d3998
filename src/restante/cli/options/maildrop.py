"""An open maildrop for a command: connected, logged in, and left without a trace."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

from restante.cli.errors import error_reporting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from restante.cli.options.account import AccountArgs
    from restante.client.blocking import Maildrop
    from restante.client.options import Options, Target

PROBE_SECONDS = 2.0  # in which a port answers to TLS


@contextlib.contextmanager
def open_maildrop(account: AccountArgs) -> Iterator[Maildrop]:
    """Open the account's maildrop. Errors become messages with their exit codes."""
    with error_reporting(), connect_account(account, account.options) as drop:
        yield drop


def connect_account(account: AccountArgs, options: Options) -> Maildrop:
    """Connect and log in, by the stored tokens of the account or by its password.

    Raises RemoteError, LocalError: a refused token has the verdict that its claims allow.
    """
    from restante.client import blocking
    from restante.client.token_source import is_token_refused
    from restante.protocol.errors import ServerRefusedError

    target = _find_tls(account, options)
    password = "" if account.auth else account.password()
    try:
        return blocking.connect(target, password, options, auth=account.auth)
    except ServerRefusedError as error:
        if is_token_refused(error) and (account.auth or options.token):
            from restante.diagnosis.token_refusals import assign_verdict

            token = account.auth.last_token if account.auth else password
            assign_verdict(error, token, target)
        raise


def _find_tls(account: AccountArgs, options: Options) -> Target:
    """Return the server of an account; how an unusual port uses TLS is found out, as by a check.

    Raises RemoteError.
    """
    target = account.locate()
    if account.guess:
        if _is_tls(target, options):
            account.target = target = replace(target, tls="implicit")
        account.guess = False
    return target


def _is_tls(target: Target, options: Options) -> bool:
    """Return whether a port answers to TLS, and says nothing before. Raises RemoteError."""
    from restante.client import name_resolution, port_probe

    for address in name_resolution.addresses(target, options):
        if found := port_probe.identify_protocol(address, target.port, PROBE_SECONDS):
            return found == "TLS"
    return False
