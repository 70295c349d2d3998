"""An open maildrop for a command: connected, logged in, and left without a trace."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from restante.cli.errors import error_reporting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from restante.cli.options.account import AccountArgs
    from restante.client.blocking import Maildrop
    from restante.client.options import Options


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

    target = account.locate()
    password = "" if account.auth else account.password()
    try:
        return blocking.connect(target, password, options, auth=account.auth)
    except ServerRefusedError as error:
        if is_token_refused(error) and (account.auth or options.token):
            from restante.diagnosis.token_refusals import assign_verdict

            token = account.auth.last_token if account.auth else password
            assign_verdict(error, token, target)
        raise
