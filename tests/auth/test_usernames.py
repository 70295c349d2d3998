"""The forms of a name that mean one account, or may mean another one."""

from __future__ import annotations

import pytest

from restante.auth.usernames import guess_key, is_exact


@pytest.mark.parametrize(
    "name", ["ann b", "Ann b", "ANN B", " ann b", "ann  b", "ánn b", "A\u0301nn b", "\uff41nn b"]
)
def test_all_spellings_are_one_guess(name: str) -> None:
    """A guesser has one delay for all names by which a directory or a database finds an account."""
    assert guess_key(name) == "ann b"


@pytest.mark.parametrize("name", ["", "/admin", "ann@example.com", "жук", "ann\udc80"])
def test_other_names_stay_apart(name: str) -> None:
    """A name that no source takes for another one counts by itself."""
    assert guess_key(name) == name


@pytest.mark.parametrize("name", ["ann", "Ann@example.com", "ann b", "ann+x_y"])
def test_exact_names(name: str) -> None:
    """ASCII without surplus spaces means one account, whatever the source compares."""
    assert is_exact(name)


@pytest.mark.parametrize("name", ["ánn", " ann", "ann ", "ann  b", "a\0nn", "ann\n", "a\u200bnn"])
def test_names_that_may_mean_another(name: str) -> None:
    """A source may ignore accents, spaces and invisible characters."""
    assert not is_exact(name)
