"""Which account of a file belongs to an account of the user."""

from __future__ import annotations

import pytest

from restante.fetch.imports.choice import choose_account
from restante.fetch.imports.records import NAMELESS, SourceAccount
from restante.fetch.imports.state import StateFileError

ANN = SourceAccount("ann@example.com", "pop.example.com")
ANN_ELSEWHERE = SourceAccount("ann@example.com", "pop.example.org")
BOB = SourceAccount("Bob", "pop.example.com")
SHORT = SourceAccount("ann", "pop.example.com")
LOWER = SourceAccount("bob", "pop.example.com")
EVE = SourceAccount("eve", "pop.example.com")


@pytest.mark.parametrize(
    ("accounts", "user", "wanted", "chosen"),
    [
        ([NAMELESS], "ann", "", NAMELESS),
        ([ANN_ELSEWHERE], "ann@example.com", "", ANN_ELSEWHERE),
        ([ANN], "other", "ann@example.com@pop.example.com", ANN),
        ([ANN], "ann", "", ANN),
        ([ANN, SHORT], "ann", "", SHORT),
        ([BOB, LOWER], "bob", "Bob@pop.example.com", BOB),
        ([ANN, ANN_ELSEWHERE, BOB], "ann@example.com", "", ANN),
        ([ANN_ELSEWHERE, BOB], "ANN@example.com", "", ANN_ELSEWHERE),
        ([ANN, BOB], "bob@example.com", "", BOB),
        ([ANN, BOB, EVE], "zoe", "eve@POP.example.com", EVE),
    ],
)
def test_the_account_is_found(
    accounts: list[SourceAccount], user: str, wanted: str, chosen: SourceAccount
) -> None:
    """The user's name decides, then the host; a name that was asked for comes first."""
    assert choose_account(accounts, user, "pop.example.com", wanted) == chosen


@pytest.mark.parametrize(
    ("accounts", "wanted", "said"),
    [
        ([ANN], "", "no account fits; choose one with --from: ann@example.com@pop.example.com"),
        ([ANN, BOB], "", "no account fits; choose one with --from: Bob@pop"),
        ([ANN, BOB], "eve@pop.example.com", "no account fits"),
        ([SourceAccount(f"u{n}", "h") for n in range(20)], "", "u17@h, ..."),
        ([SourceAccount("zoe", "a"), SourceAccount("zoe", "b")], "", "several accounts fit"),
    ],
)
def test_no_account_is_guessed(accounts: list[SourceAccount], wanted: str, said: str) -> None:
    """If no account or several accounts fit, the error lists what there is, in bounds."""
    with pytest.raises(StateFileError, match=said):
        choose_account(accounts, "zoe", "pop.example.com", wanted)
