"""The users of a configuration that have a maildrop."""

from __future__ import annotations

import io
from pathlib import Path

from restante.server.composition.owners import NO_ACCOUNT, find_owners
from restante.server.config import loader
from restante.server.log import event_log
from support.passwords import quick_hash

HASH = quick_hash(b"hunter2")


def owners(folder: Path, layout: str, accounts: str) -> tuple[list[str], list[str]]:
    """Return the users that are found, and the folders that are reported."""
    file = folder / "restante.toml"
    file.write_text(f'[mail]\nfolder = "mail"\nlayout = "{layout}"\n[accounts]\n{accounts}\n')
    config = loader.load(file, {})
    log, writer = event_log.configure_log("text", io.StringIO())
    problems: list[str] = []
    try:
        found = find_owners(config, log, lambda place, why: problems.append(f"{place.name}: {why}"))
    finally:
        writer.close()
    return found, problems


def maildirs(folder: Path, *names: str) -> None:
    for name in names:
        (folder / "mail" / name / "new").mkdir(parents=True)


def test_accounts_and_folders(tmp_path: Path) -> None:
    """A user has a maildrop by its folder, with an account or without one."""
    maildirs(tmp_path, "ann@example.com", "bob@example.com")
    (tmp_path / "users").write_text(f"ann@example.com:{HASH}\neve@example.com:{HASH}\n")
    assert owners(tmp_path, "{user}", 'users = "users"') == (
        ["ann@example.com", "bob@example.com"],
        [],
    )


def test_accounts_say_the_domain(tmp_path: Path) -> None:
    """A layout without the domain needs an account for each folder."""
    maildirs(tmp_path, "ann", "bob")
    (tmp_path / "users").write_text(f"ann@example.com:{HASH}\n")
    assert owners(tmp_path, "{local}", 'users = "users"') == (
        ["ann@example.com"],
        [f"bob: {NO_ACCOUNT}"],
    )


def test_names_of_the_system_have_no_domain(tmp_path: Path) -> None:
    """With PAM, a folder that is named by the local part is that of the system's user."""
    maildirs(tmp_path, "ann")
    assert owners(tmp_path, "{local}", 'pam = "restante"') == (["ann"], [])
