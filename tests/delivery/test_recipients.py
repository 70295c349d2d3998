"""Whose an address is."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path

import pytest

from delivery.door import Known
from restante.auth.interfaces import UnavailableError, UncertainError
from restante.delivery.recipients import (
    AccountRecipients,
    StoreRecipients,
    candidate_addresses,
    find,
)
from restante.storage.maildir import MaildirStore
from restante.storage.paths import Layout


def of_folder(folder: Path) -> StoreRecipients:
    """Return the recipients with a maildrop in a folder."""
    return StoreRecipients(MaildirStore(Layout(folder)))


@pytest.mark.parametrize(
    ("address", "owners", "owner"),
    [
        ("ann@example.com", ["ann@example.com", "ann"], "ann@example.com"),
        ("ann@example.com", ["ann"], "ann"),
        ("ann@example.com", ["bob", "nn@example.com"], None),
        ("Ann@EXAMPLE.com", ["ann@example.com"], "ann@example.com"),
        ("Ann@example.com", ["Ann@example.com", "ann@example.com"], "Ann@example.com"),
        ("ann+lists@example.com", ["ann@example.com"], "ann@example.com"),
        ("ann+a@example.com", ["ann+a@example.com", "ann@example.com"], "ann+a@example.com"),
        ("ann+lists+more@example.com", ["ann"], "ann"),
        ("ann+lists@example.com", ["ann", "ann+lists"], "ann+lists"),
        ("+lists@example.com", ["", "@example.com"], None),
        ("ann", ["ann"], "ann"),
        ("@example.com", ["", "example.com"], None),
        ('"ann smith"@example.com', ["ann smith@example.com"], "ann smith@example.com"),
        ("A\N{COMBINING DIAERESIS}rger@example.com", ["Ärger"], "Ärger"),
        ("A\N{COMBINING DIAERESIS}RGER@example.com", ["ärger"], "ärger"),
        ("a\N{SOFT HYPHEN}nn@example.com", ["ann@example.com"], "ann@example.com"),
        ("a\N{RIGHT-TO-LEFT OVERRIDE}nn@example.com", ["ann"], None),
        (r'"ann\"s"@example.com', ['ann"s'], 'ann"s'),
        ('"anna@example.com', ["ann@example.com"], None),
        ('aann"@example.com', ["ann@example.com"], None),
        ("\ufb01", ["fi", "\ufb01"], "\ufb01"),
    ],
)  # fmt: skip
def test_an_address_belongs_to_the_nearest_name(
    address: str, owners: list[str], owner: str | None
) -> None:
    """An address belongs to the account with the closest name."""
    assert asyncio.run(find(Known(*owners), address, "+")) == owner


def test_one_form_that_is_uncertain() -> None:
    """An address is uncertain only if no other form of it is found."""

    class Accounts:
        async def owner(self, name: str) -> str:
            if name != "ann":
                raise UncertainError("no name was ever found")
            return name

    recipients = AccountRecipients(Accounts())
    assert asyncio.run(find(recipients, "ann@example.com", "+")) == "ann"
    with pytest.raises(UncertainError):
        asyncio.run(find(recipients, "bob@example.com", "+"))


def test_long_address_is_not_prepared() -> None:
    """A name of over 255 octets stays as it is: SASLprep makes 18 characters of one."""
    address = "\N{ARABIC LIGATURE SALLALLAHOU ALAYHE WASALLAM}" * 600 + "@example.com"
    assert max(map(len, candidate_addresses(address, "+"))) == len(address)


def test_without_a_delimiter_there_are_no_extensions() -> None:
    """Without a delimiter, an address has no extension."""
    assert list(candidate_addresses("ann+lists@example.com", "")) == [
        "ann+lists@example.com",
        "ann+lists",
    ]


@pytest.mark.parametrize("name", ["../ann", "..", ".", "", "a/b", "ann\n", "/etc", "ann\0"])
def test_a_name_that_no_folder_may_have_is_nobody(tmp_path: Path, name: str) -> None:
    """A name that cannot be a folder is not a recipient."""
    (tmp_path / "ann/new").mkdir(parents=True)
    (tmp_path / "mail/new").mkdir(parents=True)
    recipients = of_folder(tmp_path / "mail")
    assert asyncio.run(recipients.owner(name)) is None


def test_maildrop_owner_gets_mail(tmp_path: Path) -> None:
    """If accounts cannot be listed, users with a maildrop get mail."""
    (tmp_path / "ann/new").mkdir(parents=True)
    (tmp_path / "lost+found").mkdir()
    (tmp_path / "carl").touch()  # an mbox
    recipients = of_folder(tmp_path)
    assert asyncio.run(recipients.owner("ann")) == "ann"
    assert asyncio.run(recipients.owner("bob")) is None
    assert asyncio.run(recipients.owner("carl")) == "carl"
    assert asyncio.run(recipients.owner("lost+found")) is None


@pytest.mark.parametrize("found", [[], ["lost+found"]])
def test_mail_waits_for_a_disk(tmp_path: Path, found: list[str]) -> None:
    """A mail folder without any maildrop may be a disk that is not mounted."""
    for name in found:
        (tmp_path / name).mkdir()
    with pytest.raises(UnavailableError, match="its disk is mounted"):
        asyncio.run(of_folder(tmp_path).owner("ann"))
    with pytest.raises(UnavailableError):
        asyncio.run(of_folder(tmp_path / "gone").owner("ann"))


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE, errno.ELOOP])
def test_folder_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """An error of the disk or of permissions does not mean that a recipient is unknown."""
    (tmp_path / "ann/new").mkdir(parents=True)

    def fail(self: Path) -> os.stat_result:
        raise OSError(number, os.strerror(number), str(self))

    monkeypatch.setattr(Path, "stat", fail)
    with pytest.raises(UnavailableError):
        asyncio.run(of_folder(tmp_path).owner("ann"))


def test_name_that_is_too_long_for_a_folder(tmp_path: Path) -> None:
    """No folder can have such a name, so no recipient has it."""
    (tmp_path / "ann/new").mkdir(parents=True)
    assert asyncio.run(of_folder(tmp_path).owner("x" * 300)) is None
