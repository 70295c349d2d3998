"""Stored passwords: argon2id and the crypt formats of Dovecot and Apache."""

from __future__ import annotations

import subprocess
import sys

import pytest

from restante.auth.passwords import hashing as password_hashing
from restante.protocol.secret import Secret
from support.programs import need

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
        "{PLAIN}",
        "{PLAIN}other",
        "{PLAIN.HEX}73656372657g",
        "{PLAIN}!",
        "{SCRAM-SHA-256}secret",
        "{SHA}secret",
        "{SHA256}5en6G6MezRroT3XKqkdPOmY/BfQ=",
        "{SSHA}5en6G6MezRroT3XKqkdPOmY/BfQ=",
        "{PBKDF2}$1$cP/1A.hs3DR72GNj$9999999$cecf71c2c8c2719e63f2cb9d2c8db5585b5aa6ca",
        "{PBKDF2}$1$cP/1A.hs3DR72GNj$0$cecf71c2c8c2719e63f2cb9d2c8db5585b5aa6ca",
        "$pbkdf2-sha256$29000$x$y",
        "ojuzu1LcDjnhU",
        "$1$abcdefgh$short",
        "{DES-CRYPT}short",
        "*",
        "!",
        "$6$",
        "$6$abcdefgh$short",
        "$2y$04$short",
        "$argon2id$v=19$m=19456,t=2,p=1$",
        "$argon2id$v=19$m=1,t=0,p=0$YWJjZGVmZ2g$YWJjZGVmZ2g",
        "$argon2id$v=19$m=8,t=1,p=1$YWJjZGVmZ2g$YWJjZGVmZ2é",
        "$argon2id$v=19$m=8,t=1,p=1$YWJjZGVmZ2g$YWJjZGVmZ2g\u2028",
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
    for stored in (
        "$argon2id$v=19$m=8,t=1,p=1$é$é",
        "",
        "secret",
        "{PLAIN}",
        "{OTP}x",
        "$6$abcdefgh$short",
        "$apr1$abcdefgh$x",
    ):
        assert password_hashing.unsupported_reason(stored)


SHA512 = (
    "{SHA512}vSsar3708Jvp9Szi2NWZZ02Bqp1qRCFpbcTZPdBhnWgs5WtNZKnvCXdhztmeD2cmW192CF5bDufKRpayrW/i"
    "sg=="
)
SSHA512 = (
    "{SSHA512}RdYJ1JrWeCfAp0PMPycsRyAFc/ospMu6u4MfIO04qHIvQwEidIYT0KKS8fi/5Iq8LUfrn1K9o+AOLeFE2zhP"
    "HiE67og="
)
OLD = [
    # Made by `doveadm pw` of Dovecot 2.3.
    "{SHA1}5en6G6MezRroT3XKqkdPOmY/BfQ=",
    "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=",
    "{SHA1.B64}5en6G6MezRroT3XKqkdPOmY/BfQ=",
    "{SHA256}K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols=",
    SHA512,
    "{SSHA}E2haLps2L5SUJZLDDkEa59ixGLjWlYfB",
    "{ssha}E2haLps2L5SUJZLDDkEa59ixGLjWlYfB",
    "{SSHA256}Q/zotGpAojWp6SRQp4OFTe92Zk2IZEPrWFFx6vmEYkX/8zp9",
    "{SSHA256.HEX}aa93b3d9ef3524593232d18e119d0c1a3ee50e77936b7e1bf5afcb093c04c488c2d01349",
    SSHA512,
    "{SMD5}u6YzP1JVYrlYCcNcoBiP6rLF6Z4=",
    "{LDAP-MD5}Xr4ilOzQ4PCOq3aQ0qbuaQ==",
    "{MD5}Xr4ilOzQ4PCOq3aQ0qbuaQ==",
    "{PLAIN-MD5}5ebe2294ecd0e0f08eab7690d2a6ee69",
    "{PLAIN-MD5.B64}Xr4ilOzQ4PCOq3aQ0qbuaQ==",
    "{PLAIN}secret",
    "{CLEARTEXT}secret",
    "{CLEAR.B64}c2VjcmV0",
    "{PLAIN.HEX}736563726574",
    "{MD5-CRYPT}$1$/J/QveUh$KIDZXhOeyEgZFgci/ocIw1",
    "{MD5}$1$8bNAyhZg$LtuSf47IZvU7ZGCINlLyj0",
    "$1$abcdefgh$cHJi5PXp/ki/ktXzqlk6I1",
    "{DES-CRYPT}ojuzu1LcDjnhU",
    "{CRYPT}ojuzu1LcDjnhU",
    "{PBKDF2}$1$cP/1A.hs3DR72GNj$5000$cecf71c2c8c2719e63f2cb9d2c8db5585b5aa6ca",
    # Made by passlib.
    "$pbkdf2$1000$nLP2HsMY4zznfG8thXBOqQ$a1Sdb1K9n/UU91vOi0AB9nfN9mg",
    "$pbkdf2-sha256$1000$HKOU0nrvnfO.V6o1Roixtg$q/HvfbQnCnQoTNJNL2PpwhIlk9afjBvtcRepi6wJzjc",
]


@pytest.mark.parametrize("stored", OLD)
def test_old_hash(stored: str) -> None:
    """A hash of Dovecot's older schemes verifies its password, and is weak."""
    assert password_hashing.unsupported_reason(stored) is None
    assert password_hashing.verify(stored, Secret(b"secret"))
    for wrong in (b"Secret", b"", b"secret "):
        assert not password_hashing.verify(stored, Secret(wrong))
    assert password_hashing.is_weak(stored)
    assert not password_hashing.is_weak(password_hashing.hash_password(RIGHT))


def test_each_scheme_of_dovecot() -> None:
    """Hashes of `doveadm pw` verify, except those of schemes that only a challenge can use."""
    doveadm = need("doveadm")
    listed = subprocess.run([doveadm, "pw", "-l"], capture_output=True, text=True, check=True)
    challenges = {"CRAM-MD5", "HMAC-MD5", "DIGEST-MD5", "OTP", "SCRAM-SHA-1", "SCRAM-SHA-256"}
    schemes = set(listed.stdout.split()) - challenges - {"PLAIN-MD4", "PLAIN-TRUNC"}
    for scheme in schemes:
        command = [doveadm, "pw", "-s", scheme, "-p", "secret", "-u", "ann"]
        made = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        assert password_hashing.verify(made, Secret(b"secret")), made
        assert not password_hashing.verify(made, Secret(b"wrong")), made


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("{PLAIN}secret", "{PLAIN}other", True),
        ("{PLAIN}secret", "{SSHA}E2haLps2L5SUJZLDDkEa59ixGLjWlYfB", False),
        ("$1$abcdefgh$cHJi5PXp/ki/ktXzqlk6I1", "$1$/J/QveUh$KIDZXhOeyEgZFgci/ocIw1", True),
        ("$6$rounds=9000$x$y", "$6$rounds=1000$x$y", False),
        ("$2b$10$" + "a" * 53, "$2b$10$" + "b" * 53, True),
        ("$2b$10$" + "a" * 53, "$2b$12$" + "a" * 53, False),
        ("{CRYPT}ab0123456789.", "{CRYPT}cd9876543210/", True),
    ],
)
def test_cost_of_a_hash(one: str, other: str, *, same: bool) -> None:
    """Hashes of one kind have the same cost; it shows neither a salt nor a password."""
    assert (password_hashing.cost_of(one) == password_hashing.cost_of(other)) is same
    assert "secret" not in password_hashing.cost_of(one)
    assert password_hashing.cost_of(one) != "", "the hash of no account"


LITTLE_MEMORY = """\
import resource, sys
from restante.auth.interfaces import UnavailableError
from restante.auth.passwords import hashing
from restante.protocol.secret import Secret
password = Secret(b"secret")
argon2 = hashing.hash_password(password)
yescrypt = sys.argv[1]
assert hashing.verify(yescrypt, password)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**20, -1))
for work in (
    lambda: hashing.verify(argon2, password),
    lambda: hashing.verify(yescrypt, password),
    lambda: hashing.hash_anew(argon2, password),
):
    try:
        print(work())
    except UnavailableError as error:
        print(error)
try:
    print(hashing.hash_password(password))
except MemoryError:
    print("MemoryError")
"""


def test_too_little_memory() -> None:
    """Without memory for a hash, no password is called wrong."""
    need("perl")
    program = "print crypt('secret', '$y$j9T$abcdefgh')"
    stored = subprocess.run(["perl", "-e", program], capture_output=True, check=True, text=True)
    command = [sys.executable, "-c", LITTLE_MEMORY, stored.stdout]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    *texts, last = done.stdout.splitlines()
    assert last == "MemoryError"
    assert len(texts) == 3
    assert all(text.startswith("there is not enough memory") for text in texts), texts
