"""`pop3 undelete`: removed messages are listed, and restored with their unique-ids."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from restante.storage.maildir.deleted import DELETED_FOLDER
from restante.storage.maildir.lock import try_lock
from support.command import Ran, pop3

NOW = int(time.time())


@pytest.fixture
def config(tmp_path: Path) -> Path:
    for part in ("tmp", "new", "cur", DELETED_FOLDER):
        (tmp_path / "mail/ann" / part).mkdir(parents=True)
    for name in (f"1.a:~{NOW - 7200}", f"2.b:2,S~{NOW - 60}"):
        (tmp_path / "mail/ann" / DELETED_FOLDER / name).write_bytes(b"Subject: a\n\n")
    file = tmp_path / "restante.toml"
    file.write_text('[mail]\nfolder = "mail"\nkeep_deleted = 7\n[accounts]\nusers = "users"\n')
    return file


def undelete(config: Path, *flags: str) -> Ran:
    return pop3("undelete", "ann", "--config", config, *flags)


def kept(config: Path) -> list[str]:
    folder = config.parent / "mail/ann" / DELETED_FOLDER
    return sorted(file.name[:3] for file in folder.iterdir())


def test_list_restores_nothing(config: Path) -> None:
    """`--list` shows the messages with their unique-ids, and restores none."""
    ended = undelete(config, "--list")
    assert ended.code == 0
    assert [line.split()[5] for line in ended.out.splitlines()[1:3]] == ["1.a", "2.b"]
    assert ended.out.endswith("2 messages of ann can be restored.\n")
    assert kept(config) == ["1.a", "2.b"]


def test_list_shows_sender_and_subject(config: Path) -> None:
    """`--list` shows decoded headers, and no escape sequence of them reaches the terminal."""
    kept = config.parent / "mail/ann" / DELETED_FOLDER / f"1.a:~{NOW - 7200}"
    header = (
        "From: =?utf-8?Q?J=C3=B6rg?= <joerg@example.com>\nSubject: a\x1b]0;b\x07 c\n\nSubject: x\n"
    )
    kept.write_text(header)
    line = undelete(config, "--list").out.splitlines()[1]
    assert "Jörg" in line
    assert "\x1b" not in line
    assert "Subject" not in line
    found = json.loads(undelete(config, "--list", "--json").out)
    assert found[0]["from"].startswith("Jörg")
    assert "\x1b" not in undelete(config, "--list", "--json").out


@pytest.mark.parametrize("flags", [(), ("--list",), ("--list", "--json")])
def test_a_time_beyond_the_calendar(config: Path, flags: tuple[str, ...]) -> None:
    """A file whose name has an impossible time is shown with a late one, and stops no other."""
    kept = config.parent / "mail/ann" / DELETED_FOLDER / f"9.z:~{10**18 - 1}"
    kept.write_bytes(b"Subject: z\n\n")
    ended = undelete(config, *flags)
    assert ended.code == 0
    assert "9999-12-30" in ended.out


def test_junk_maildrop(config: Path) -> None:
    """The login name of a junk maildrop means its removed mail, unless an account has that name."""
    config.write_text(config.read_text().replace("[mail]", '[mail]\njunk = ".Junk"'))
    users = config.parent / "users"
    users.write_text("ann:{PLAIN}secret\n")
    users.chmod(0o600)
    for part in ("tmp", "new", "cur", DELETED_FOLDER):
        (config.parent / "mail/ann/.Junk" / part).mkdir(parents=True)
    (config.parent / "mail/ann/.Junk" / DELETED_FOLDER / f"3.c:~{NOW}").write_bytes(b"a\n")
    ended = pop3("undelete", "ann+junk", "--config", config)
    assert ended.out.endswith("1 message of ann+junk restored.\n")
    assert (config.parent / "mail/ann/.Junk/new/3.c").exists()
    users.write_text("ann:{PLAIN}secret\nann+junk:{PLAIN}secret\n")
    users.chmod(0o600)
    ended = pop3("undelete", "ann+junk", "--config", config)
    assert ended.out == "0 messages of ann+junk restored.\n"


def test_removed_account(config: Path) -> None:
    """The mail of an account that was removed is restored; without any, its name is an error."""
    users = config.parent / "users"
    users.write_text("bob:{PLAIN}secret\n")
    users.chmod(0o600)
    assert undelete(config).out.endswith("2 messages of ann restored.\n")
    ended = undelete(config)
    text = "the account ann does not exist, and no removed mail of this name is kept"
    assert (ended.code, text in ended.err) == (1, True)


def test_all_messages_are_restored(config: Path) -> None:
    """Without an option, all removed messages are restored."""
    assert undelete(config).out.endswith("2 messages of ann restored.\n")
    assert kept(config) == []
    assert (config.parent / "mail/ann/new/1.a").exists()
    assert (config.parent / "mail/ann/cur/2.b:2,S").exists()


@pytest.mark.parametrize(
    "since", ["1h", time.strftime("%Y-%m-%dT%H:%M", time.localtime(NOW - 600))]
)
def test_messages_removed_since(config: Path, since: str) -> None:
    """`--since` restores what was removed after a time, or within an age."""
    assert undelete(config, "--since", since).code == 0
    assert kept(config) == ["1.a"]


def test_one_message_by_its_unique_id(config: Path) -> None:
    """`--uid` restores one message, and an unknown one is an error."""
    ended = undelete(config, "--uid", "1.a", "--uid", "9.z")
    assert (ended.code, ended.err) == (1, "9.z: no removed message has this unique-id\n")
    assert kept(config) == ["2.b"]


def test_json(config: Path) -> None:
    """`--json` prints what was restored, and what was left."""
    (config.parent / "mail/ann/cur/1.a:2,").write_bytes(b"another")
    ended = undelete(config, "--json")
    found = json.loads(ended.out)
    assert [each["uid"] for each in found["restored"]] == ["2.b"]
    assert [each["uid"] for each in found["left"]] == ["1.a"]
    assert found["left"][0]["octets"] == 12
    assert ended.code == 1
    assert "has this unique-id" in ended.err


def test_a_maildrop_in_use(config: Path) -> None:
    """A session of the user is an error, and nothing is restored."""
    folder = os.open(config.parent / "mail/ann", os.O_RDONLY)
    lock = try_lock(folder)
    assert lock is not None
    ended = undelete(config)
    os.close(lock)
    os.close(folder)
    assert ended.code == 1
    assert "try again when the session has ended" in ended.err
    assert kept(config) == ["1.a", "2.b"]


def test_a_time_that_is_none(config: Path) -> None:
    """A time that cannot be read is a usage error with an example."""
    ended = undelete(config, "--since", "yesterday")
    assert ended.code == 2
    assert "2026-11-27T10:30" in ended.err
