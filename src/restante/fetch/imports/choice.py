"""Which account of a file belongs to an account of the user."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.fetch.imports.state import StateFileError

if TYPE_CHECKING:
    from collections.abc import Collection

    from restante.fetch.imports.records import SourceAccount

_SHOWN = 10


def is_same_user(one: str, other: str) -> bool:
    """Return whether two names may be of one user: a program may know it without its domain."""
    names = one.casefold(), other.casefold()
    local_parts = [name.partition("@")[0] for name in names]
    return names[0] == names[1] or (local_parts[0] == local_parts[1] and local_parts[0] in names)


def choose_account(
    accounts: Collection[SourceAccount], user: str, host: str, wanted: str = ""
) -> SourceAccount:
    """Return the account of a file that a user has at a host, or that was asked for by its name.

    Names are compared without case, unless case alone distinguishes them. A program may know the
    user without the domain, and the host by another name. The account of another user is not taken,
    even if it is the only one: its unique-ids may be those of other messages here.

    Raises StateFileError: none fits, or several do.
    """
    if wanted:
        matches = [account for account in accounts if str(account) == wanted]
        matches = matches or [
            account for account in accounts if str(account).casefold() == wanted.casefold()
        ]
    else:
        by_user = [a for a in accounts if a.user.casefold() == user.casefold()]
        by_user = by_user or [a for a in accounts if not a.user or is_same_user(a.user, user)]
        matches = [a for a in by_user if a.host.casefold() == host.casefold()] or by_user
    if len(matches) == 1:
        return matches[0]
    names = sorted(map(str, accounts))
    listed = ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
    which = "several accounts fit" if matches else "no account fits"
    raise StateFileError(f"{which}; choose one with --from: {listed}")
