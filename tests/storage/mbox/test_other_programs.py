"""Other projects' programs on an mbox of Restante's, and the other way round."""

from __future__ import annotations

import mailbox
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pexpect
import pytest

from interop.odd_messages import HEADER, MESSAGES
from storage.mbox.box import FROM, Box
from support import dovecot_2_4
from support.dovecot import OWNER, set_up
from support.other_user import public_folder
from support.programs import need

PATIENCE = 60  # seconds
BODY = b"one\nFrom here\n>From there\n\n" + FROM.replace(b"2026", b"2001") + b"\nlast\n"
LETTERS = [
    b"From: Ann <ann@example.com>\nDate: Tue, 24 Nov 2026 22:00:46 +0000\n"
    b"Message-ID: <%d@example.com>\nSubject: letter %d\n\n" % (number, number) + BODY
    for number in range(1, 5)
]


@pytest.fixture
def folder() -> Iterator[Path]:
    with public_folder() as folder:
        yield folder


@pytest.fixture
def box(folder: Path) -> Box:
    box = Box(folder / "mail")
    for letter in LETTERS:
        box.deliver(letter)
    return box


@pytest.fixture
def doveadm(box: Box, folder: Path) -> Callable[..., bytes]:
    """Dovecot on the mbox, by its command: no server runs. All belongs to the owner of the mail."""
    need("doveadm")
    places = f"mail_location = mbox:{folder}/home:INBOX={box.file}\nlog_path = /dev/stderr\n"
    owner = f"mail_uid = {OWNER[0]}\nmail_gid = {OWNER[1]}\n"
    dovecot = set_up(folder, accounts="", more=places + owner)
    os.chown(folder, *OWNER)

    no_server = ["--no-userdb-lookup"] if dovecot_2_4.is_installed() else []

    def doveadm(command: str, *words: str, stdin: bytes = b"") -> bytes:
        os.chown(box.file, *OWNER)
        return dovecot.doveadm(*command.split(), *no_server, *words, stdin=stdin)

    return doveadm


def run(*command: str, folder: Path, stdin: bytes = b"") -> bytes:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "LC_ALL": "C"}
    return subprocess.run(
        command, input=stdin, env=environment, stdout=subprocess.PIPE, check=True, timeout=PATIENCE
    ).stdout


def only_the_second_went(box: Box, uids: list[str]) -> None:
    """Also the flags that the program wrote changed nothing else."""
    assert box.texts() == [LETTERS[0], *LETTERS[2:]]
    assert box.uids() == [uids[0], *uids[2:]]


def test_mutt_deletes_one(box: Box, folder: Path) -> None:
    """mutt deletes a message, and the others keep their unique-ids."""
    program = need("mutt")
    uids = box.uids()
    (folder / "muttrc").write_text(
        f"set mbox_type=mbox\nset folder={folder}\nset spoolfile={box.file}\nset move=no\n"
        "set delete=yes\nset sort=mailbox-order\nset beep=no\n"
        'push "<jump>2<enter><delete-message><quit>"\n'
    )
    command = [program, "-n", "-F", f"{folder}/muttrc", "-f", f"{box.file}"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "LC_ALL": "C", "TERM": "xterm"}
    mutt = pexpect.spawn(command[0], command[1:], timeout=PATIENCE, env=environment)
    mutt.expect("3 kept, 1 deleted")
    mutt.expect(pexpect.EOF)
    mutt.close()
    assert b"Content-Length: " in box.file.read_bytes()
    only_the_second_went(box, uids)


def test_mailx_deletes_one(box: Box, folder: Path) -> None:
    """mailx deletes a message, and the others keep their unique-ids."""
    mailx = need("bsd-mailx")
    uids = box.uids()
    said = run(mailx, "-f", str(box.file), folder=folder, stdin=b"h\nd 2\nq\n")
    assert b"letter 4" in said
    assert b"\nStatus: " in box.file.read_bytes()
    only_the_second_went(box, uids)


def test_dovecot_expunges_one(box: Box, doveadm: Callable[..., bytes]) -> None:
    """Dovecot flags and expunges messages, and the others keep their unique-ids."""
    uids = box.uids()
    assert doveadm("fetch", "hdr.subject", "all").count(b"letter") == len(LETTERS)
    doveadm("flags add", r"\Seen", "1")
    doveadm("expunge", "mailbox", "INBOX", "2")
    assert b"\nX-UID: " in box.file.read_bytes()
    only_the_second_went(box, uids)


def test_what_dovecot_saves_is_read_octet_for_octet(
    box: Box, doveadm: Callable[..., bytes]
) -> None:
    """It quotes nothing, and writes a Content-Length."""
    new = HEADER + BODY
    doveadm("save", stdin=new)
    assert box.texts() == [*LETTERS, new]


def test_dovecot_reads_after_removal(box: Box, doveadm: Callable[..., bytes]) -> None:
    """Dovecot reads the mbox after Restante removed messages."""
    before = doveadm("fetch", "uid hdr.subject", "all").split()
    assert before[:2] == [b"uid:", b"1"]
    box.remove(0, 2)
    assert doveadm("fetch", "uid hdr.subject", "all").split()[1::5] == [b"2", b"4"]
    assert box.texts() == [LETTERS[1], LETTERS[3]]


def test_what_procmail_delivers_is_read(box: Box, folder: Path) -> None:
    """It quotes as mboxo does, so that ">From" and "From" become the same."""
    run(
        need("procmail"), "-f", "ann", f"DEFAULT={box.file}", "/dev/null",
        folder=folder, stdin=LETTERS[0],
    )  # fmt: skip
    assert box.texts() == [*LETTERS, LETTERS[0].replace(b"\n>From there", b"\nFrom there")]


def test_formail_and_python_agree(box: Box, folder: Path) -> None:
    """formail and Python find as many messages as were delivered."""
    formail = need("formail")
    for message in MESSAGES.values():
        box.deliver(message)
    count = len(LETTERS) + len(MESSAGES)
    with box.file.open("rb") as file:
        said = subprocess.run(
            [formail, "-s", "sh", "-c", "cat >/dev/null; echo one"],
            stdin=file, stdout=subprocess.PIPE, check=True, timeout=PATIENCE,
        ).stdout  # fmt: skip
    assert said.count(b"one\n") == count
    theirs = mailbox.mbox(box.file)
    assert len(theirs) == count
    theirs.close()


def test_what_python_writes_anew_keeps_its_unique_ids(box: Box) -> None:
    """Unique-ids stay when Python's mailbox rewrites the file."""
    uids = box.uids()
    theirs = mailbox.mbox(box.file)
    theirs.lock()
    theirs.remove(theirs.keys()[1])
    theirs.flush()
    theirs.unlock()
    theirs.close()
    only_the_second_went(box, uids)
