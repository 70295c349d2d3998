"""`pop3 deliver`: the exit codes are what an MTA acts on."""

from __future__ import annotations

import contextlib
import mailbox
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from restante.cli.main import main
from support.other_user import NOBODY, public_folder
from support.process import POP3

HASH = "$6$saltsalt$" + "x" * 86
LETTER = b"Subject: a\n\nhello\n"


@pytest.fixture
def flags(tmp_path: Path) -> list[str | Path]:
    (tmp_path / "mail").mkdir()
    (tmp_path / "users").write_text(f"ann@example.com:{HASH}\n../bob:{HASH}\n")
    return ["--mail", tmp_path / "mail", "--users", tmp_path / "users"]


def deliver(*arguments: str | Path, message: bytes = LETTER) -> tuple[int, str]:
    """Run the command in this process, and return its exit code and what it says."""
    done = CliRunner().invoke(main, ["deliver", *map(str, arguments)], input=message)
    assert done.stdout == ""
    return done.exit_code, done.stderr


def delivered(tmp_path: Path, user: str = "ann@example.com") -> list[bytes]:
    return [file.read_bytes() for file in (tmp_path / "mail" / user / "new").iterdir()]


def test_a_program_delivers_by_a_pipe(tmp_path: Path, flags: list[str | Path]) -> None:
    """A program delivers a message through a pipe to the command."""
    command: list[str | Path] = [POP3, "deliver", "ann@example.com", *flags]
    done = subprocess.run(command, input=LETTER, capture_output=True, check=True, timeout=60)
    assert (done.stdout, done.stderr) == (b"", b"")
    assert delivered(tmp_path) == [b"Return-Path: <>\nDelivered-To: ann@example.com\n" + LETTER]


def test_a_message_is_delivered_in_silence(tmp_path: Path, flags: list[str | Path]) -> None:
    """A delivery that succeeds prints nothing and exits with 0."""
    assert deliver("--sender=bob@example.org", "ann@example.com", *flags) == (0, "")
    top = b"Return-Path: <bob@example.org>\nDelivered-To: ann@example.com\n"
    assert delivered(tmp_path) == [top + LETTER]


@pytest.mark.parametrize("missing", ["<&-", "</dev/null", "0>/dev/null", "< <(false)"])
def test_no_message(tmp_path: Path, flags: list[str | Path], missing: str) -> None:
    """Without a message, as of a filter that failed, the MTA tries again, and nothing is delivered."""
    command = [
        "bash",
        "-c",
        f'exec "$@" {missing}',
        "bash",
        POP3,
        "deliver",
        "ann@example.com",
        *flags,
    ]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    assert done.returncode == 75
    assert done.stderr == b"4.3.0 standard input has no message\n"  # and nothing about bob's line
    assert not (tmp_path / "mail" / "ann@example.com").exists()


def test_deliver_to_mbox(tmp_path: Path, flags: list[str | Path]) -> None:
    """If mail is stored in mboxes, a message goes into one."""
    assert deliver("ann@example.com", "--format=mbox", *flags) == (0, "")
    with contextlib.closing(mailbox.mbox(tmp_path / "mail" / "ann@example.com")) as box:
        (message,) = box
    assert message["Delivered-To"] == "ann@example.com"
    assert message.get_payload() == "hello\n"


@pytest.mark.parametrize(
    ("given", "message", "sender"),
    [
        (["--sender="], LETTER, b""),
        (["--sender=<>"], LETTER, b""),
        (["--sender=MAILER-DAEMON"], LETTER, b""),
        (["-f", "<bob@example.org>"], LETTER, b"bob@example.org"),
        ([], LETTER, b""),
        ([], b"From bob@example.org  Tue Nov 24 22:00:00 2026\n" + LETTER, b"bob@example.org"),
        ([], b"Return-Path: <bob@example.org>\n" + LETTER, b"bob@example.org"),
        (["-f", "carl"], b"From bob  now\nReturn-Path: <bob>\n" + LETTER, b"carl"),
    ],
)
def test_sender_of_a_message(
    tmp_path: Path, flags: list[str | Path], given: list[str], message: bytes, sender: bytes
) -> None:
    """The sender comes from an option or from the message."""
    assert deliver(*given, "ann@example.com", *flags, message=message) == (0, "")
    top = b"Return-Path: <%b>\nDelivered-To: ann@example.com\n" % sender
    assert delivered(tmp_path) == [top + LETTER]


@pytest.mark.parametrize(
    "message",
    [b"\n", b"\r\n.\r\n", b"no end", b"NUL\0\xff", b"x" * 200_000, b"a\n.\nFrom b\n"],
)
def test_octets_stay_as_they_are(tmp_path: Path, flags: list[str | Path], message: bytes) -> None:
    """The octets of a message are stored unchanged after the headers that are added."""
    assert deliver("ann@example.com", *flags, message=message) == (0, "")
    assert delivered(tmp_path) == [b"Return-Path: <>\nDelivered-To: ann@example.com\n" + message]


@pytest.mark.parametrize("user", ["nobody", "../bob", "", "ann@example.org", "an\nn"])
def test_an_unknown_user_is_67(tmp_path: Path, flags: list[str | Path], user: str) -> None:
    """An unknown user exits with 67, and nothing is written."""
    code, told = deliver(*flags, "--", user)
    assert code == 67
    assert told.startswith("5.1.")
    assert list((tmp_path / "mail").iterdir()) == []


@pytest.mark.parametrize("arguments", [[], ["ann", "bob"], ["--bogus", "ann"], ["ann", "--mail"]])
def test_a_wrong_command_line_is_64(arguments: list[str]) -> None:
    """A wrong command line exits with 64."""
    code, told = deliver(*arguments)
    assert code == 64
    assert "Error: " in told


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (["--mail", "/nowhere"], "mail.folder: /nowhere does not exist"),
        (["--users", "/nowhere/users"], "accounts.users: /nowhere/users: No such file"),
        (["--config", "/nowhere/file"], "/nowhere/file: No such file"),
    ],
)
def test_wrong_setup_keeps_mail_queued(
    flags: list[str | Path], broken: list[str | Path], told: str
) -> None:
    """With a wrong setup the mail stays in the queue."""
    code, text = deliver(*flags, *broken, "ann@example.com")
    assert code == 75
    assert text.startswith("4.3.5 ")
    assert told in text


def test_a_link_in_the_maildrop_is_75_and_not_followed(
    tmp_path: Path, flags: list[str | Path]
) -> None:
    """A symbolic link in the maildrop is not followed; the delivery exits with 75."""
    (tmp_path / "mail/ann@example.com/tmp").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (tmp_path / "mail/ann@example.com/new").symlink_to(tmp_path / "outside")
    code, told = deliver(*flags, "ann@example.com")
    assert code == 75
    assert told == (
        "4.3.0 the maildrop cannot be written to, try again later: a message cannot be delivered: "
        f"it is a symbolic link, which is not followed: {tmp_path}/mail/ann@example.com/new; "
        "replace the symbolic link\n"
    )
    assert list((tmp_path / "outside").iterdir()) == []
    assert list((tmp_path / "mail/ann@example.com/tmp").iterdir()) == []


def test_a_full_file_system_is_75(tmp_path: Path, flags: list[str | Path]) -> None:
    """On a full file system the delivery exits with 75 and leaves no file."""
    if os.getuid() != 0:
        pytest.skip("a small file system requires root")
    mail = tmp_path / "mail"
    command: list[str | Path] = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", mail]
    if subprocess.run(command, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        code, told = deliver(*flags, "ann@example.com", message=b"x" * 100_000)
        assert code == 75
        assert told.startswith("4.3.1 the disk is full")
        assert told.endswith("; free some space, or inodes (df -i)\n")
        assert [path for path in mail.rglob("*") if path.is_file()] == []
        assert deliver(*flags, "ann@example.com") == (0, "")
    finally:
        subprocess.run(["umount", mail], check=True)


def test_a_message_that_is_too_big_is_65(tmp_path: Path, flags: list[str | Path]) -> None:
    """A message over the configured size exits with 65 and is not delivered."""
    (tmp_path / "restante.toml").write_text("[delivery]\nmessage_size = 100_000\n")
    given = [*flags, "--config", tmp_path / "restante.toml", "ann@example.com"]
    assert deliver(*given, message=b"x" * 100_000)[0] == 0
    code, told = deliver(*given, message=b"x" * 100_001)
    assert (code, told) == (65, "5.3.4 the message is too big\n")
    assert len(delivered(tmp_path)) == 1


def test_loop_exits_with_77(tmp_path: Path, flags: list[str | Path]) -> None:
    """A loop exits with 77, and headers of the MTA are not a loop."""
    again = b"Delivered-To: ann@example.com\nReceived: x\n\n"
    assert deliver(*flags, "ann@example.com", message=again) == (0, "")
    code, told = deliver(*flags, "ann@example.com", message=b"Received: y\n" + again)
    assert code == 77
    assert told.startswith("5.4.6 mail loop")
    assert delivered(tmp_path) == [b"Return-Path: <>\n" + again]


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that the user `nobody` can reach: pytest's own are closed to other users."""
    if os.getuid() != 0:
        pytest.skip("to be somebody else requires root")
    with public_folder() as folder:
        (folder / "mail/ann").mkdir(parents=True)
        (folder / "users").write_text(f"ann:{HASH}\n")
        yield folder


@pytest.mark.parametrize("closed", ["mail", "mail/ann", "users"])
def test_no_permission_is_75(open_folder: Path, pop3_for_nobody: Path, closed: str) -> None:
    """Without permission to the mail or the accounts, the delivery exits with 75."""
    uid, gid = NOBODY
    (open_folder / closed).chmod(0o600 if closed == "users" else 0o700)
    command: list[str | Path] = [pop3_for_nobody, "deliver", "ann"]
    command += ["--mail", open_folder / "mail", "--users", open_folder / "users"]
    done = subprocess.run(
        command, input=LETTER, capture_output=True, check=False, timeout=60,
        user=uid, group=gid, extra_groups=[],
    )  # fmt: skip
    assert done.stderr.startswith(b"4.3.5 ")
    assert b"permission" in done.stderr.lower()
    assert done.returncode == 75  # an MTA keeps the mail; 77 would be final for most
