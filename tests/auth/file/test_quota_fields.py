"""The quota in the line of an account."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from restante.auth.file.accounts import FileAuthenticator
from restante.auth.file.passwd_entry import PasswdEntry
from restante.quota import Quota

HASH = "$6$saltsalt$" + "x" * 86
K, M, G = 1024, 1024**2, 1024**3


@pytest.mark.parametrize(
    ("words", "quota"),
    [
        ("", Quota()),
        ("quota_octets=1000 quota_messages=7", Quota(1000, 7)),
        ("quota_octets=2G", Quota(2 * G)),
        ("quota_octets=0", Quota(0)),
        ("userdb_quota_rule=*:storage=1G", Quota(G)),
        ("userdb_quota_rule=*:storage=100", Quota(100 * K)),
        ("userdb_quota_rule=*:bytes=100:messages=5", Quota(100, 5)),
        ("userdb_quota_rule=?:storage=5M userdb_quota_rule2=Trash:storage=+10M", Quota(5 * M)),
        ("userdb_quota_rule=Trash:storage=1G", Quota()),
        ("userdb_quota_rule=*:storage=10%", Quota()),
        ("userdb_quota_storage_size=1G userdb_quota_message_count=9", Quota(G, 9)),
        ("quota_storage_size=3000B", Quota(3000)),
        ("quota_octets=5 userdb_quota_rule=*:storage=1G:messages=3", Quota(5, 3)),
    ],
)
def test_quota_of_a_line(words: str, quota: Quota) -> None:
    """The words of Dovecot 2.3 and 2.4 set a quota, and ours have precedence."""
    assert PasswdEntry.parse(f"ann:{HASH}::::::{words}").quota == quota


def test_invalid_number() -> None:
    """A line with an invalid number of ours is invalid."""
    with pytest.raises(ValueError, match="quota_octets is not a number"):
        PasswdEntry.parse(f"ann:{HASH}::::::quota_octets=much")


def test_quota_of_an_account(tmp_path: Path) -> None:
    """The quota of an account changes with the file, and an unknown account has none."""
    file = tmp_path / "users"
    file.write_text(f"ann:{HASH}::::::quota_octets=5\nbob:{HASH}\n")
    file.chmod(0o600)
    problems: list[str] = []
    accounts = FileAuthenticator(file, problems.append)

    async def quotas() -> list[Quota]:
        return [await accounts.own_quota(name) for name in ("ann", "bob", "cy")]

    assert asyncio.run(quotas()) == [Quota(5), Quota(), Quota()]
    assert problems == []
    file.write_text(f"ann:{HASH}::::::quota_octets=50\nbob:{HASH}\n")
    assert asyncio.run(quotas())[0] == Quota(50)
