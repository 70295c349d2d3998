"""A demo account with five messages, those of the session in an article about POP3.

They have 3375, 3622, 3606, 3630 and 3834 octets; the first has the header that it shows.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

from restante.auth.file import passwd_entry, passwd_file
from restante.auth.passwords import hashing as password_hashing
from restante.auth.passwords import scram
from restante.file_kinds import exists
from restante.protocol.secret import Secret
from restante.protocol.stuffing import size_on_wire
from restante.server.tls import self_signed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ACCOUNT = "info@example.com"
PASSWORD = b"restante"  # publicly known, and served to this machine only
CERTIFICATE = "certificate.pem"  # in the demo's folder
WIDTH = 68  # characters of a body line

_HEADER = """\
Return-Path: <sender@example.com>
Delivered-To: info@example.com
Received: from localhost (localhost [127.0.0.1])
    by example.com (Postfix) with ESMTP id {queue_id}
    for <info@example.com>; Mon, 23 Feb 2015 {received} +0100 (CET)
Date: Mon, 23 Feb 2015 {sent} -0700
From: <sender@example.com>
To: info@example.com
Message-ID: <{message_id}@example.com>
Subject: {subject}
"""


class DemoMessage(NamedTuple):
    """One message: its octets on the wire, and what makes it differ from the others."""

    octets: int
    delivered: int  # seconds since 1970
    received: str
    sent: str
    queue_id: str
    message_id: str
    subject: str
    opening: str


DEMO_MESSAGES = (
    DemoMessage(
        3375, 1424693977, "13:19:37", "04:19:35", "10315142CF8", "78AF5C73C263AF24BA943DEEBB142316",
        "Just a test message",
        "This is the first message of your demo maildrop, and TOP 1 showed you its header.",
    ),
    DemoMessage(
        3622, 1424694577, "13:29:37", "04:29:35", "2A7F5142CF9", "0D3B5E91A7C24F688E10B5D2C94A7F03",
        "What a server may answer",
        "A reply begins with +OK when it went well, and with -ERR when it did not.",
    ),
    DemoMessage(
        3606, 1424695177, "13:39:37", "04:39:35", "3C90E142CFA", "5F21C8D07B6E4A93B1D4E6A2087C39F5",
        "Nothing is deleted yet",
        "DELE only marks a message. RSET takes all marks away, and so does hanging up.",
    ),
    DemoMessage(
        3630, 1424695777, "13:49:37", "04:49:35", "4E11B142CFB", "A94D0F6E2C8B4175930E7B1FD65C2A88",
        "The end of a message",
        "A line with nothing but a dot ends it. Here is one that belongs to the text:\n.\n"
        "On the wire it had two dots, and your mail program took one away.",
    ),
    DemoMessage(
        3834, 1424696377, "13:59:37", "04:59:35", "5B82D142CFC", "C6E27A14F3D94B0588A1D07E9B3F5C62",
        "Goodbye",
        "QUIT is what removes the marked messages. After that they are gone for good.",
    ),
)  # fmt: skip

_FILLING = """\
The rest of this text only makes the message as long as it should be. Poste restante is mail that
lies at the post office until somebody calls for it. That is what this protocol does: the letters
wait, you ask how many there are, you look at one, you take it home, and you say which ones need not
be kept."""


def ensure_mailbox(folder: Path) -> tuple[Path, Path]:
    """Make the demo account in a folder, or what is missing of it.

    Returns the mail folder and the file of accounts. Mail that came since stays. Raises OSError.
    """
    mail, users = folder / "mail", folder / "users"
    maildir = mail / ACCOUNT
    for part in ("tmp", "new", "cur"):
        (maildir / part).mkdir(mode=0o700, parents=True, exist_ok=True)
    there = {
        file.name.partition(":")[0]
        for part in ("new", "cur")
        for file in (maildir / part).iterdir()
    }
    for message in DEMO_MESSAGES:
        name = f"{message.delivered}.{message.queue_id}.demo,W={message.octets}"
        if name not in there:
            (maildir / "tmp" / name).write_bytes(render(message))
            (maildir / "tmp" / name).rename(maildir / "new" / name)
    with passwd_file.edit(users) as lines:
        if passwd_file.index_of(lines, ACCOUNT) is None:
            keys = {"SCRAM-SHA-256": scram.create_keys("SCRAM-SHA-256", Secret(PASSWORD))}
            stored = password_hashing.hash_password(Secret(PASSWORD))
            lines.append(passwd_entry.replace_credentials(f"{ACCOUNT}:", stored, keys))
    return mail, users


def ensure_certificate(folder: Path) -> tuple[Path, Path]:
    """Return the files of a certificate for this machine and of its key, made when missing.

    It certifies itself, so a client believes it only with its file: `--cacert`. Raises OSError.
    """
    certificate, key = folder / CERTIFICATE, folder / "key.pem"
    if not (exists(certificate) and exists(key)):
        made = self_signed.create_self_signed(("localhost",), ("127.0.0.1", "::1"), "Restante demo")
        key.touch(mode=0o600)
        key.write_bytes(made.key)
        certificate.write_bytes(made.certificate)
    return certificate, key


def render(message: DemoMessage) -> bytes:
    """Return a message as it is stored, with as much text as its size asks for."""
    text = f"{_HEADER.format(**message._asdict())}\n{message.opening}\n\n".encode()
    missing = message.octets - size_on_wire([text])
    for line in _lines():
        if missing <= len(line) + 3:  # a line end is two octets, and a line should not be empty
            break
        text += line + b"\n"
        missing -= len(line) + 2
    return text + line[: missing - 2] + b"\n"


def _lines() -> Iterator[bytes]:
    """Return lines of filling without end."""
    line = ""
    for word in itertools.cycle(_FILLING.split()):
        if len(line) + 1 + len(word) > WIDTH:
            yield line.encode()
            line = word
        else:
            line = f"{line} {word}".lstrip()
