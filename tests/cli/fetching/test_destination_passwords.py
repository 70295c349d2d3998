"""The passwords of destinations."""

from __future__ import annotations

import pytest

from restante.cli.fetching.destination_passwords import DestinationPasswords


def test_one_command() -> None:
    """One command is for one user at one host, in whatever letters the host is written."""
    passwords = DestinationPasswords("echo secret")
    for host in ("imap.example.com", "IMAP.example.com"):
        found = passwords.find("ann", host)
        assert found is not None
        assert found() == "secret"
    for user, host in (("ann", "imap.example.net"), ("bob", "imap.example.com")):
        with pytest.raises(ValueError, match=f'"ann@imap.example.com" = .* "{user}@{host}" = '):
            passwords.find(user, host)


def test_table_of_commands() -> None:
    """A table has a command for each user at each host; others have no password."""
    passwords = DestinationPasswords({"ann@A.example": "echo one", "ann@b.example": "echo two"})
    found = [passwords.find("ann", host) for host in ("a.example", "b.example", "c.example")]
    assert [give() for give in found if give] == ["one", "two"]
    assert found[2] is None


def test_no_command() -> None:
    """Without a command no destination has a password, and several of them are allowed."""
    passwords = DestinationPasswords("")
    assert passwords.find("ann", "a.example") is None
    assert passwords.find("bob", "b.example") is None
