"""Which account of a file belongs to an account of the user."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.fetch.imports.state import StateFileError

if TYPE_CHECKING:
    from collections.abc import Collection

    from restante.fetch.imports.records import SourceAccount

_SHOWN = 10


def choose_account(
    accounts: Collection[SourceAccount], user: str, host: str, wanted: str = ""
) -> SourceAccount:
    """Return the account of a file that a user has at a host, or that was asked for by its name.

    Names are compared without case. A program may know the user without the domain, and the host by
    another name. Raises StateFileError: none fits, or several do.
    """
    if wanted:
        found = [each for each in accounts if str(each).casefold() == wanted.casefold()]
    elif len(accounts) == 1:
        found = list(accounts)
    else:
        name, server = user.casefold(), host.casefold()
        by_user = [a for a in accounts if a.user.casefold() == name]
        by_user = by_user or [a for a in accounts if a.user.casefold() == name.partition("@")[0]]
        found = [a for a in by_user if a.host.casefold() == server] or by_user
    if len(found) == 1:
        return found[0]
    if not accounts:
        raise StateFileError("the file has no fetched message")
    names = sorted(map(str, accounts))
    shown = ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
    which = "several accounts fit" if found else "no account fits"
    raise StateFileError(f"{which}; choose one with --from: {shown}")
