"""`pop3 quota`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.command import Ran, pop3

HASH = "$6$saltsalt$" + "x" * 86


@pytest.fixture
def config(tmp_path: Path) -> Path:
    for part in ("new", "cur", "tmp"):
        (tmp_path / "mail" / "ann" / part).mkdir(parents=True)
    (tmp_path / "mail/ann/new/1.a,S=900").touch()
    users = tmp_path / "users"
    users.write_text(
        f"ann:{HASH}\nbob:{HASH}::::::quota_octets=0\ncy:{HASH}::::::quota_messages=4\n"
    )
    users.chmod(0o600)
    file = tmp_path / "restante.toml"
    file.write_text('[mail]\nfolder = "mail"\nquota_octets = 1000\n[accounts]\nusers = "users"\n')
    return file


def run(config: Path, *arguments: str) -> Ran:
    return pop3("quota", "--config", config, *arguments)


def test_all(config: Path) -> None:
    """Each account has a line with a bar, its usage, and its quota."""
    ended = run(config)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines() == [
        "ann                          [##################--]  90 % 900 B of 1.0 kB, 1 message",
        "bob                          no quota                     0 B, 0 messages",
        "cy                           [--------------------]   0 % 0 B of 1.0 kB, 0 of 4 messages",
    ]


def test_one_as_json(config: Path) -> None:
    """`--json` prints the figures of the accounts that are named."""
    (config.parent / "mail/ann/new/2.a,S=300").touch()
    ended = run(config, "ann", "--json", "--recount")
    assert json.loads(ended.out) == {
        "user": "ann", "octets": 1200, "messages": 2, "quota_octets": 1000,
        "quota_messages": None, "percent": 120,
    }  # fmt: skip


def test_letters_in_json(config: Path) -> None:
    """Letters beyond ASCII are printed as they are, as in the JSON of all commands."""
    users = config.parent / "users"
    users.write_text(users.read_text() + f"zoë:{HASH}\n")
    assert '"user": "zoë"' in run(config, "zoë", "--json").out


def test_users_of_pam(config: Path) -> None:
    """PAM cannot list users, so each owner of a maildrop is one, as for deliveries."""
    config.write_text(config.read_text().replace('users = "users"', 'pam = "restante"'))
    ended = run(config, "ann")
    assert (ended.code, " 90 % 900 B of 1.0 kB" in ended.out) == (0, True)
    ended = run(config, "zoe")
    assert (ended.code, "the account zoe is not a user of the system" in ended.err) == (1, True)


def test_unknown_account(config: Path) -> None:
    """A name without an account is an error."""
    ended = run(config, "zoe")
    assert ended.code == 1
    assert "the account zoe does not exist" in ended.err
