"""A login that was proved is remembered for a while, and not a moment longer than it is true."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from restante.auth.file.accounts import FileAuthenticator
from restante.auth.interfaces import CredentialsError
from restante.auth.passwords import hashing as password_hashing
from restante.auth.passwords.login_cache import LoginCache
from restante.protocol.secret import Secret

RIGHT, WRONG = Secret(b"secret"), Secret(b"wrong")


def accounts(folder: Path, remember: float = 300) -> FileAuthenticator:
    file = folder / "users"
    file.touch(0o600)
    file.write_text(f"ann:{password_hashing.hash_password(RIGHT)}\n")
    return FileAuthenticator(file, pytest.fail, remember)


def test_what_was_proved_is_recalled_and_nothing_else(tmp_path: Path) -> None:
    """Only a name and password that were verified are in the cache."""
    made = accounts(tmp_path)
    assert made.cached_login("ann", RIGHT) is None
    asyncio.run(made.verify("ann", RIGHT))
    known = made.cached_login("ann", RIGHT)
    assert known is not None
    assert known.name == "ann"
    assert made.cached_login("ann", WRONG) is None
    assert made.cached_login("bob", RIGHT) is None


def test_a_name_is_remembered_however_it_is_written(tmp_path: Path) -> None:
    """A cached login is found for the name in any case of letters."""
    made = accounts(tmp_path)
    asyncio.run(made.verify("Ann", RIGHT))
    for said in ("ann", "Ann", "ANN"):
        known = made.cached_login(said, RIGHT)
        assert known is not None
        assert known.name == "ann"


def test_a_wrong_password_is_never_remembered(tmp_path: Path) -> None:
    """A wrong password is not cached."""
    made = accounts(tmp_path)
    with pytest.raises(CredentialsError):
        asyncio.run(made.verify("ann", WRONG))
    assert made.cached_login("ann", WRONG) is None


def test_a_change_of_the_file_ends_it_at_once(tmp_path: Path) -> None:
    """A change of the file clears the cache."""
    made = accounts(tmp_path)
    asyncio.run(made.verify("ann", RIGHT))
    (tmp_path / "users").write_text(f"ann:{password_hashing.hash_password(WRONG)}\n")
    assert made.cached_login("ann", RIGHT) is None
    asyncio.run(made.verify("ann", WRONG))
    assert made.cached_login("ann", WRONG) is not None


def test_it_ends_after_its_time_and_can_be_switched_off(tmp_path: Path) -> None:
    """A cached login expires, and a time of 0 disables the cache."""
    times = [0.0]
    remembered = LoginCache(10, lambda: times[0])
    remembered.add("ann", RIGHT)
    times[0] = 9.9
    assert remembered.stored_hash("ann", RIGHT) == ""
    times[0] = 10
    assert remembered.stored_hash("ann", RIGHT) is None
    never = accounts(tmp_path, 0)
    asyncio.run(never.verify("ann", RIGHT))
    assert never.cached_login("ann", RIGHT) is None


def test_names_and_passwords_do_not_run_into_each_other() -> None:
    """A name and a password are kept apart: "ab" with "c" is not "a" with "bc"."""
    remembered = LoginCache(10)
    remembered.add("ab", Secret(b"c"))
    remembered.add("a", Secret(b"bc"))
    assert remembered.stored_hash("a", Secret(b"bc")) == ""
    assert remembered.stored_hash("a", Secret(b"c")) is None


def test_what_is_kept_shows_no_password() -> None:
    """The cache holds no password."""
    remembered = LoginCache(10, time.monotonic)
    remembered.add("ann", RIGHT)
    assert "secret" not in repr(vars(remembered))


def test_many_logins() -> None:
    """The number of cached logins is bounded, and the oldest one is removed first."""
    cache = LoginCache(60, most=3)
    for user in ("ann", "bob", "eve", "ann", "sue"):
        cache.add(user, RIGHT)
    users = ("ann", "bob", "eve", "sue")
    assert [user for user in users if cache.stored_hash(user, RIGHT) is None] == ["bob"]
