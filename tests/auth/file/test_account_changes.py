"""Which accounts must log in anew."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from restante.auth.file.account_changes import AccountChanges
from restante.auth.file.accounts import FileAuthenticator
from restante.auth.file.passwd_entry import PasswdEntry
from restante.auth.file_reading import SETTLE

OLD, NEW = "$6$saltsalt$" + "x" * 86, "$6$saltsalt$" + "y" * 86
KEYS = "scram-sha-256=4096,c2FsdA==,c3RvcmVkIGtleSBvZiAzMiBvY3RldHMgLi4uLi4uLi4=,eA=="


def ended(before: str, after: str | None) -> bool:
    """Return whether sessions must end after a change of the line."""
    changes = AccountChanges()
    assert not changes.find_ended({"ann": PasswdEntry.parse(before)}, (), 0)
    accounts = {"ann": PasswdEntry.parse(after)} if after else {}
    found = changes.find_ended(accounts, (), 0)
    assert not changes.find_ended(accounts, (), 0)
    return found == {"ann"}


@pytest.mark.parametrize(
    "after",
    [
        None, f"ann:{NEW}", f"ann:{OLD}::::::nologin", f"ann:!{OLD}", f"ann:{OLD}::::::secret=x",
    ],
)  # fmt: skip
def test_end(after: str | None) -> None:
    """Sessions end when the account is removed, locked, or has another password."""
    assert ended(f"ann:{OLD}", after)


@pytest.mark.parametrize(
    "after",
    [f"ann:{OLD}", f"ann:{OLD}::::::login_delay=5"],
)
def test_go_on(after: str) -> None:
    """Sessions go on when something else changes."""
    assert not ended(f"ann:{OLD}", after)


def test_better_hash() -> None:
    """Sessions go on when a login has replaced a weak hash."""
    assert not ended("ann:{PLAIN}secret", f"ann:{OLD}")
    assert ended(f"ann:{OLD}", "ann:{PLAIN}secret")


def test_unlock() -> None:
    """An account that was locked before has no sessions to end."""
    assert not ended(f"ann:{OLD}::::::nologin", f"ann:{OLD}")


def test_doubt() -> None:
    """A name that may come back is not ended, until it is sure that it does not."""
    changes, ann = AccountChanges(), PasswdEntry.parse(f"ann:{OLD}")
    changes.find_ended({"ann": ann}, (), 0)
    gone: dict[str, PasswdEntry] = {}
    assert changes.find_ended(gone, {"ann"}, 0) == frozenset()
    assert changes.find_ended(gone, (), 0) == {"ann"}


def test_changes_between_two_checks(tmp_path: Path) -> None:
    """An account that was added, used and locked between two checks is among those to end."""
    users = tmp_path / "users"
    users.touch(0o600)
    users.write_text(f"bob:{OLD}\n")
    accounts = FileAuthenticator(users, print, 0)
    assert asyncio.run(accounts.take_ended()) == frozenset()
    users.write_text(f"bob:{OLD}\nann:{OLD}\n")
    assert asyncio.run(accounts.identify("ann"))
    users.write_text(f"bob:{OLD}\nann:{OLD}::::::nologin\n")
    assert asyncio.run(accounts.take_ended()) == {"ann"}
    assert asyncio.run(accounts.take_ended()) == frozenset()


def test_account_that_does_not_come_back(tmp_path: Path) -> None:
    """An account that a change in place removed is to end once the file has stayed the same."""
    users, now = tmp_path / "users", 1000.0
    users.touch(0o600)
    users.write_text(f"bob:{OLD}\nann:{OLD}\n")
    accounts = FileAuthenticator(users, print, uptime=lambda: now)
    assert asyncio.run(accounts.take_ended()) == frozenset()
    users.write_text(f"bob:{OLD}\n")
    assert asyncio.run(accounts.take_ended()) == frozenset()
    now += SETTLE
    assert asyncio.run(accounts.take_ended()) == {"ann"}
    assert asyncio.run(accounts.take_ended()) == frozenset()


def test_account_that_has_expired(tmp_path: Path) -> None:
    """Sessions end when an administrator lets the account expire in the past, as usermod does."""
    users, today = tmp_path / "users", 20_000
    users.touch(0o600)
    users.write_text(f"ann:{OLD}:10:0:99999:7:::\n")
    accounts = FileAuthenticator(users, print, clock=lambda: today * 86_400.0)
    assert asyncio.run(accounts.take_ended()) == frozenset()
    users.write_text(f"ann:{OLD}:10:0:99999:7::{today + 1}:\n")
    assert asyncio.run(accounts.take_ended()) == frozenset()
    users.write_text(f"ann:{OLD}:10:0:99999:7::{today - 1}:\n")
    assert asyncio.run(accounts.take_ended()) == {"ann"}
