"""The names that tokens are kept by, and their files. It imports little: each command asks."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from restante.file_kinds import exists, user_state
from restante.oauth.errors import TokenStoreError

if TYPE_CHECKING:
    from pathlib import Path

LONGEST = 200  # characters of the name of a file


def default_folder() -> Path:
    """Return the folder of the tokens. Raises TokenStoreError: the user has no home."""
    try:
        return user_state() / "tokens"
    except RuntimeError:
        text = "the user has no home folder for tokens; set HOME, or XDG_STATE_HOME"
        raise TokenStoreError(text) from None


def name_of(account: str) -> str:
    """Return the name that the tokens of an account are kept by.

    That is the name in the file of accounts, the address, or, for a URL, the user: with its host
    if the user is not an address.
    """
    if "://" not in account:
        local, at, domain = account.rpartition("@")
        return f"{local}{at}{domain.lower()}" if at else account
    from restante.client.options import parse_url

    target = parse_url(account)
    return name_of(target.user) if "@" in target.user else f"{target.user}@{target.host}"


def file_name(name: str) -> str:
    """Return the name of the file for a name. Raises TokenStoreError: it is too long, or empty."""
    file = quote(name, safe="@+=, ")
    if not name or len(file) > LONGEST:
        raise TokenStoreError(f"no tokens can be kept for the name {name[:40]!r}")
    return f"{file}.json"


def has_tokens(folder: Path, name: str) -> bool:
    """Return whether a folder has tokens for a name.

    Raises TokenStoreError: no tokens can be kept for it. Raises OSError: the folder cannot be read.
    """
    return exists(folder / file_name(name))
