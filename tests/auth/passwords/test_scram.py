"""Keys for SCRAM in the file of accounts: policy/scram-keys."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from restante.auth.file.accounts import FileAuthenticator
from restante.auth.file.passwd_entry import PasswdEntry, replace_credentials
from restante.auth.interfaces import PASSWORDS, CredentialsError
from restante.auth.passwords import hashing as password_hashing
from restante.auth.passwords import scram
from restante.protocol.secret import Secret

HASH = password_hashing.hash_password(Secret(b"secret"))
KEYS = scram.create_keys("SCRAM-SHA-256", Secret(b"secret"))
WITH_KEYS = replace_credentials("ann:", HASH, {"SCRAM-SHA-256": KEYS})
DECOYS = "#decoys=" + "MDEy" * 10 + "MDE="


def made(file: Path, *lines: str) -> FileAuthenticator:
    file.touch(0o600)
    file.write_text("".join(f"{line}\n" for line in (*lines, DECOYS)))
    warnings: list[str] = []
    accounts = FileAuthenticator(file, warnings.append)
    accounts.refresh()
    assert not lines or not warnings
    return accounts


def test_keys_are_read_as_they_were_written() -> None:
    """Keys are parsed as they were written."""
    assert scram.ScramKeys.parse(str(KEYS)) == KEYS
    assert KEYS.iterations == 310_000
    assert PasswdEntry.parse(WITH_KEYS).scram == {"SCRAM-SHA-256": KEYS}


@pytest.mark.parametrize("text", ["", "4096:abc", "1:c2FsdHNhbHRzYWx0$a2V5:a2V5", "x:y$z:w"])
def test_what_is_no_key_is_told_of(text: str) -> None:
    """Invalid keys are an error."""
    with pytest.raises(ValueError, match="SCRAM keys are invalid"):
        PasswdEntry.parse(f"ann:{HASH}::::::scram-sha-256={text}")


@pytest.mark.parametrize("mechanism", ["scram-sha-256", "SCRAM-SHA256", "SCRAM-SHA-512", "PLAIN"])
def test_keys_of_another_mechanism(mechanism: str) -> None:
    """The error names the mechanism, and does not blame the password."""
    with pytest.raises(ValueError, match=f"'{mechanism}' is not known; use SCRAM-SHA-256 or SCR"):
        scram.create_keys(mechanism, Secret(b"secret"))


def test_new_password_removes_old_keys() -> None:
    """A new password removes the old keys and keeps the other fields."""
    line = f"ann:{HASH}:1000:1000:Ann::/bin/sh:quota=1G scram-sha-256={KEYS} tls=required"
    changed = replace_credentials(line, "NEW", {})
    assert changed == "ann:NEW:1000:1000:Ann::/bin/sh:quota=1G tls=required"
    again = PasswdEntry.parse(replace_credentials(line, HASH, {"SCRAM-SHA-256": KEYS}))
    assert again.tls_required
    assert again.scram["SCRAM-SHA-256"] == KEYS


def test_scram_is_offered_when_every_account_has_keys(tmp_path: Path) -> None:
    """SCRAM is offered only if every account that can log in has keys."""
    assert "SCRAM-SHA-256" in made(tmp_path / "all", WITH_KEYS).mechanisms()
    assert made(tmp_path / "some", WITH_KEYS, f"bob:{HASH}").mechanisms() == PASSWORDS
    assert made(tmp_path / "none").mechanisms() == PASSWORDS
    locked = made(tmp_path / "locked", WITH_KEYS, f"bob:{HASH}::::::nologin")
    assert "SCRAM-SHA-256" in locked.mechanisms()


def test_unknown_name_has_fixed_keys(tmp_path: Path) -> None:
    """policy/scram-keys, implied/no-user-enumeration: an unknown name has keys that stay the same
    and match no password.
    """
    accounts = made(tmp_path / "users", WITH_KEYS)
    first = asyncio.run(accounts.scram_keys("SCRAM-SHA-256", "nobody"))
    again = asyncio.run(accounts.scram_keys("SCRAM-SHA-256-PLUS", "nobody"))
    other = asyncio.run(accounts.scram_keys("SCRAM-SHA-256", "someone"))
    assert first == again
    assert first.salt != other.salt
    assert (first.iterations, len(first.salt)) == (KEYS.iterations, len(KEYS.salt))
    with pytest.raises(CredentialsError):
        asyncio.run(accounts.identify("nobody"))


def answers(accounts: FileAuthenticator) -> list[scram.ScramKeys]:
    names = [f"nobody{number}" for number in range(40)]
    return [asyncio.run(accounts.scram_keys("SCRAM-SHA-256", name)) for name in names]


def test_decoy_keys_survive_restart(tmp_path: Path) -> None:
    """policy/scram-keys, implied/no-user-enumeration, rfc3206-s6/auth-on-refusal: an unknown name's
    answers stay the same after a restart and with new accounts.
    """
    before = answers(made(tmp_path / "users", WITH_KEYS))
    keys = {"SCRAM-SHA-256": scram.create_keys("SCRAM-SHA-256", Secret(b"other"))}
    bob = replace_credentials("bob:", HASH, keys)
    assert answers(made(tmp_path / "users", bob, WITH_KEYS)) == before
    assert answers(made(tmp_path / "users", bob, WITH_KEYS.replace("ann:", "ben:"))) == before
    (tmp_path / "users").write_text(f"{WITH_KEYS}\n{DECOYS.replace('M', 'N')}\n")
    other = FileAuthenticator(tmp_path / "users", pytest.fail)
    assert not {keys.salt for keys in answers(other)} & {keys.salt for keys in before}


def test_what_is_made_up_has_the_looks_of_all_accounts(tmp_path: Path) -> None:
    """policy/scram-keys, implied/no-user-enumeration: keys from elsewhere may have other counts of
    iterations, and other salts.
    """
    foreign = scram.ScramKeys(b"twelve bytes", KEYS.stored_key, KEYS.server_key, 4096)
    carl = replace_credentials("carl:", HASH, {"SCRAM-SHA-256": foreign})
    made_up = answers(made(tmp_path / "users", WITH_KEYS, carl))
    assert {(keys.iterations, len(keys.salt)) for keys in made_up} == {(310_000, 16), (4096, 12)}


@pytest.mark.parametrize("line", ["", "#decoys=\n", "#decoys=AAAA\n", "#decoys=?\n"])
def test_a_file_without_a_key_for_decoys_is_told_of(tmp_path: Path, line: str) -> None:
    """policy/scram-keys: what it has keys for SCRAM from was not `pop3 user` as it is now."""
    (tmp_path / "users").touch(0o600)
    (tmp_path / "users").write_text(f"{WITH_KEYS}\n{line}")
    warnings: list[str] = []
    accounts = FileAuthenticator(tmp_path / "users", warnings.append)
    assert answers(accounts) == answers(accounts)
    assert len(warnings) == 1
    assert "no line #decoys=" in warnings[0]
    (tmp_path / "users").write_text(f"ann:{HASH}\n{line}")
    accounts.refresh()
    assert len(warnings) == 1


def test_what_holds_for_one_account_alone_is_read(tmp_path: Path) -> None:
    """The settings of one account are read from its line."""
    line = f"ann:{HASH}::::::secret=tanstaaf login_delay=60 expire_days=7 tls=required"
    accounts = made(tmp_path / "users", line, f"bob:{HASH}")
    identity = asyncio.run(accounts.identify("ann"))
    assert (identity.login_delay, identity.expire_days, identity.tls_required) == (60, 7, True)
    assert asyncio.run(accounts.shared_secret("ann")).reveal() == b"tanstaaf"
    with pytest.raises(CredentialsError):
        asyncio.run(accounts.shared_secret("bob"))


def test_secret_replaces_password(tmp_path: Path) -> None:
    """rfc1939-s13/password-or-apop, policy/apop-off: an account with a secret logs in with that,
    and not with a password.
    """
    accounts = made(
        tmp_path / "users", f"ann:{HASH}::::::secret=tanstaaf", "bob:::::::secret=x", f"c:{HASH}"
    )
    with pytest.raises(CredentialsError):
        asyncio.run(accounts.verify("ann", Secret(b"secret")))
    assert asyncio.run(accounts.shared_secret("bob")).reveal() == b"x"
    assert asyncio.run(accounts.verify("c", Secret(b"secret"))).name == "c"


def test_a_secret_is_prepared_by_saslprep(tmp_path: Path) -> None:
    """rfc6856-s2/saslprep."""
    accounts = made(tmp_path / "users", "ann:::::::secret=A\N{COMBINING DIAERESIS}")
    expected = "\N{LATIN CAPITAL LETTER A WITH DIAERESIS}".encode()
    assert asyncio.run(accounts.shared_secret("ann")).reveal() == expected
    with pytest.raises(ValueError, match="its secret has characters that SASLprep"):
        PasswdEntry.parse("ann:::::::secret=a\N{RIGHT-TO-LEFT OVERRIDE}b")


@pytest.mark.parametrize("extra", ["login_delay=soon", "expire_days=-1", "tls=maybe"])
def test_an_extra_that_is_not_understood_is_told_of(extra: str) -> None:
    """An invalid extra field is an error that names it."""
    with pytest.raises(ValueError, match=extra.partition("=")[0]):
        PasswdEntry.parse(f"ann:{HASH}::::::{extra}")
