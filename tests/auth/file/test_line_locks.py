"""Locking the line of an account."""

from __future__ import annotations

import pytest

from restante.auth.file.line_locks import find_lock, lock_line, unlock_line
from restante.auth.file.passwd_entry import replace_credentials

HASH = "$6$saltsalt$" + "x" * 86
SHADOW = f"ann:{HASH}:19000:0:99999:7:::"


@pytest.mark.parametrize(
    ("line", "locked"),
    [
        (f"ann:{HASH}", f"ann:{HASH}::::::nologin"),
        (f"ann:{HASH}:1:1::/home/ann:", f"ann:{HASH}:1:1::/home/ann::nologin"),
        (f"ann:{HASH}::::::tls=required", f"ann:{HASH}::::::tls=required nologin"),
        (f"ann:{HASH}::::::nologin", f"ann:{HASH}::::::nologin"),
        (SHADOW, SHADOW.replace("$6", "!$6")),
        (SHADOW.replace("$6", "!$6"), SHADOW.replace("$6", "!$6")),
    ],
)  # fmt: skip
def test_lock(line: str, locked: str) -> None:
    """A locked line has one lock, and everything that it had; unlocking removes the lock."""
    assert lock_line(line) == locked
    assert find_lock(locked)
    assert find_lock(unlock_line(locked)) == ""
    assert lock_line(unlock_line(locked)) == locked


@pytest.mark.parametrize(
    ("line", "lock"),
    [
        (f"ann:{HASH}:::::nologin:nologin", "nologin"),
        (f"ann:!{HASH}::::::nologin", "its hash"),
        (f"ann:{HASH}::::::fail=yes NoLogin=y", "fail"),
    ],
)
def test_other_locks_stay(line: str, lock: str) -> None:
    """A lock that an administrator wrote in another place, or in another way, stays."""
    assert find_lock(unlock_line(line)) == lock


@pytest.mark.parametrize(
    "line",
    [
        f"ann:!{HASH}:19000:0:99999:7:::",
        f"ann:{HASH}::::::nologin=",
        f"ann:{HASH}::::::allow_nets=192.0.2.0/24 allow_nets=2001:db8::/32",
    ],
)
def test_new_password_of_a_locked_account(line: str) -> None:
    """A new password unlocks no account; of two lists of networks, none goes away."""
    other = HASH.replace("x", "y")
    assert replace_credentials(line, other, {}) == line.replace(HASH, other)
    assert find_lock(replace_credentials(line, other, {})) == find_lock(line) != ""


@pytest.mark.parametrize("stored", ["!", "*", "!!", ""])
def test_first_password_of_a_line_of_shadow(stored: str) -> None:
    """An account without a password is not locked once it has one."""
    line = f"ann:{stored}:19000:0:99999:7:::"
    assert replace_credentials(line, HASH, {}) == SHADOW
    assert replace_credentials("ann", HASH, {}) == f"ann:{HASH}"
