"""Whose an address is."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from restante.delivery.recipients import FolderRecipients, find, names
from restante.storage.layout import Layout


class Known:
    def __init__(self, *owners: str) -> None:
        self.owners = owners

    async def owner(self, name: str) -> str | None:
        return name if name in self.owners else None


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
    ],
)  # fmt: skip
def test_an_address_belongs_to_the_nearest_name(
    address: str, owners: list[str], owner: str | None
) -> None:
    assert asyncio.run(find(Known(*owners), address, "+")) == owner


def test_without_a_delimiter_there_are_no_extensions() -> None:
    assert list(names("ann+lists@example.com", "")) == ["ann+lists@example.com", "ann+lists"]


@pytest.mark.parametrize("name", ["../ann", "..", ".", "", "a/b", "ann\n", "/etc", "ann\0"])
def test_a_name_that_no_folder_may_have_is_nobody(tmp_path: Path, name: str) -> None:
    (tmp_path / "ann/new").mkdir(parents=True)
    (tmp_path / "mail/new").mkdir(parents=True)
    recipients = FolderRecipients(Layout(tmp_path / "mail"))
    assert asyncio.run(recipients.owner(name)) is None


def test_who_has_a_maildrop_may_get_mail_where_accounts_cannot_be_asked(tmp_path: Path) -> None:
    (tmp_path / "ann/new").mkdir(parents=True)
    (tmp_path / "lost+found").mkdir()
    (tmp_path / "carl").touch()  # an mbox
    recipients = FolderRecipients(Layout(tmp_path))
    assert asyncio.run(recipients.owner("ann")) == "ann"
    assert asyncio.run(recipients.owner("bob")) is None
    assert asyncio.run(recipients.owner("carl")) == "carl"
    assert asyncio.run(recipients.owner("lost+found")) is None
