"""Stored passwords: argon2id and the crypt formats of Dovecot and Apache."""

from __future__ import annotations

import subprocess

import pytest

from restante.auth import password_hashing
from restante.protocol.secret import Secret

RIGHT = Secret("pässword with  spaces ".encode())
WRONG = Secret(b"other")


def crypted(salt: str) -> str:
    """Make a hash with Perl's crypt: the same formats, by another program."""
    command = ["perl", "-e", "chomp(my $p = <STDIN>); print crypt($p, $ARGV[0])", salt]
    return subprocess.run(
        command, input=RIGHT.reveal() + b"\n", capture_output=True, check=True
    ).stdout.decode()


SALTS = [
    "$5$abcdefgh",
    "$5$rounds=1000$abcdefgh",
    "$6$abcdefgh",
    "$6$rounds=2000$abcdefgh",
    "$2y$04$abcdefghijklmnopqrstuu",
    "$2b$05$abcdefghijklmnopqrstuu",
    "$2a$04$abcdefghijklmnopqrstuu",
    "$y$j75$abcdefgh",
]


@pytest.mark.parametrize("salt", SALTS)
def test_a_crypt_hash_of_another_program_is_taken(salt: str) -> None:
    """policy/argon2."""
    stored = crypted(salt)
    assert password_hashing.unsupported_reason(stored) is None
    assert password_hashing.verify(stored, RIGHT)
    assert not password_hashing.verify(stored, WRONG)


@pytest.mark.parametrize(
    ("scheme", "salt"),
    [("{SHA512-CRYPT}", "$6$abcdefgh"), ("{BLF-CRYPT}", "$2y$04$abcdefghijklmnopqrstuu")],
)
def test_the_name_of_a_scheme_before_a_hash_is_skipped(scheme: str, salt: str) -> None:
    """A hash may have Dovecot's scheme name before it."""
    stored = scheme + crypted(salt)
    assert password_hashing.unsupported_reason(stored) is None
    assert password_hashing.verify(stored, RIGHT)


def test_new_hash_is_argon2id() -> None:
    """policy/argon2: a new hash is Argon2id with 19 MiB, 2 passes and 1 lane."""
    stored = password_hashing.hash_password(RIGHT)
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert password_hashing.unsupported_reason(stored) is None
    assert password_hashing.unsupported_reason("{ARGON2ID}" + stored) is None
    assert password_hashing.verify(stored, RIGHT)
    assert not password_hashing.verify(stored, WRONG)
    assert stored != password_hashing.hash_password(RIGHT)


@pytest.mark.parametrize("salt", ["$6$abcdefgh", "$2y$04$abcdefghijklmnopqrstuu"])
def test_a_password_does_not_end_at_a_nul(salt: str) -> None:
    """A NUL does not end a password."""
    assert not password_hashing.verify(crypted(salt), Secret(RIGHT.reveal() + b"\0more"))


@pytest.mark.parametrize(
    "stored",
    [
        "",
        "secret",
        "{PLAIN}secret",
        "*",
        "!",
        "$6$",
        "$6$abcdefgh$short",
        "$2y$04$short",
        "$argon2id$v=19$m=19456,t=2,p=1$",
        "$argon2id$v=19$m=1,t=0,p=0$YWJjZGVmZ2g$YWJjZGVmZ2g",
        "$apr1$abcdefgh$WpkUtY1yHU0vLcKcwfKFW.",
        "{SSHA}MDEyMzQ1Njc4OWFiY2RlZg==",
        "$6$" + "é" * 8,
    ],
)
def test_malformed_hash_matches_nothing(stored: str) -> None:
    """A malformed hash matches no password and raises no error."""
    assert not password_hashing.verify(stored, Secret(b"secret"))
    assert not password_hashing.verify(stored, Secret(b""))


def test_a_hash_that_can_never_match_is_told_of() -> None:
    """A hash that no password matches has a reason for the administrator."""
    for stored in ("", "secret", "{PLAIN}secret", "$6$abcdefgh$short", "$apr1$abcdefgh$x"):
        assert password_hashing.unsupported_reason(stored)
