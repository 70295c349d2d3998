"""Other programs fetch a part of a maildrop, and their own files say which."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from interop.conftest import OpenAccount
from interop.fetchers import Fetch, fdm, fetchmail, getmail, mpop
from interop.odd_messages import HEADER
from restante.fetch.imports.programs import PROGRAMS
from restante.fetch.imports.state import read_state
from support.other_user import public_folder

LETTERS = [HEADER + b"letter %d\n" % number for number in range(1, 4)]


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder of the program, which any user can reach."""
    with public_folder() as folder:
        yield folder


@pytest.mark.parametrize(
    ("name", "fetch", "file"),
    [
        ("getmail", getmail, "oldmail-*"),
        ("fetchmail", fetchmail, "ids"),
        ("mpop", mpop, "uidls"),
        ("fdm", fdm, "cache"),
    ],
)
def test_the_file_of_a_program_is_read(
    name: str, fetch: Fetch, file: str, open_account: OpenAccount, home: Path
) -> None:
    """The file that a program writes has the unique-ids of what it has fetched, and its account."""
    account = open_account(*LETTERS)
    assert len(fetch(account, home, delete=False)) == len(LETTERS)
    (path,) = home.glob(file)
    with path.open("rb") as octets:
        state = read_state(PROGRAMS[name].parse, octets)
    assert state.skipped == {}
    ((source, messages),) = state.accounts.items()
    assert sorted(messages) == ["1.test", "2.test", "3.test"]
    assert str(source) in {f"{account.user}@127.0.0.1", ""}
