"""An open maildrop for a command: connected, logged in, and left without a trace."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from restante.cli.errors import error_reporting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from restante.cli.options.account import AccountArgs
    from restante.client.blocking import Maildrop


@contextlib.contextmanager
def open_maildrop(account: AccountArgs) -> Iterator[Maildrop]:
    """Open the account's maildrop. Errors become messages with their exit codes."""
    from restante.client import blocking

    with error_reporting():
        target = account.locate()
        password = account.password()
        with blocking.connect(target, password, account.options) as drop:
            yield drop
