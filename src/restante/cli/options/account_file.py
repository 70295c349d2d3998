"""The user's file of accounts: `restante/accounts.toml` in the configuration folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click


def is_stored(name: str) -> bool:
    """Return whether the file of accounts has this name. Raises click.UsageError."""
    return bool(find_account(name)[1])


def find_account(name: str) -> tuple[str, dict[str, str]]:
    """Return the account that a name in the file stands for, and its fields.

    Any other name stands for itself and has no fields. Raises click.UsageError: the file is
    invalid.
    """
    entry = find_entry(name)
    if not entry:
        return name, {}
    return entry["account"], {key: str(value) for key, value in entry.items()}


def configuration_folder() -> Path:
    """Return the folder of the user's files. XDG Base Directory Specification."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "restante"


def find_entry(name: str) -> dict[str, Any]:
    """Return the table of a name in the file, with its own tables, an empty one for any other.

    Raises click.UsageError: the file is invalid.
    """
    if "@" in name or "://" in name:
        return {}
    file = configuration_folder() / "accounts.toml"
    if not file.exists():
        return {}
    import tomllib

    try:
        known = tomllib.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise click.UsageError(f"{file}: {error}") from None
    entry = known.get(name)
    if entry is None:
        return {}
    if not isinstance(entry, dict) or not isinstance(entry.get("account"), str):
        text = f'{file}: [{name}] requires account = "user@example.com" or a URL'
        raise click.UsageError(text)
    return entry
