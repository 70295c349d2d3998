"""Mailboxes for the benchmark: users u0, u1, ... with the same password and like mail."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

PASSWORD = "secret"

_LINE = b"The quick brown fox jumps over the lazy dog, and POP3 brings it home again.\n"


def message(octets: int, number: int) -> bytes:
    """Return a message of about this many octets, as a Maildir holds it: with LF."""
    head = (
        f"Return-Path: <ann@example.com>\nReceived: from mx.example.com by mail.example.com; "
        f"Mon, 1 Jun 2026 10:00:00 +0000\nFrom: Ann <ann@example.com>\nTo: bob@example.com\n"
        f"Subject: Message {number}\nMessage-ID: <{number}@example.com>\n"
        f"Date: Mon, 1 Jun 2026 10:00:00 +0000\n\n"
    ).encode()
    lines = (octets - len(head)) // len(_LINE) + 1
    stuffed = b".signature\n" if number % 20 == 0 else b""  # few messages have a dot to double
    return head + _LINE * lines + stuffed


def maildirs(folder: Path, users: int, messages: int, octets: int, owner: int) -> None:
    """Make a Maildir for each user."""
    for user in range(users):
        box = folder / f"u{user}"
        for part in ("tmp", "new", "cur"):
            (box / part).mkdir(parents=True)
        fill(box, messages, octets)
        if os.getuid() == 0:
            for path in (box, *box.rglob("*")):
                os.chown(path, owner, owner)


def fill(box: Path, messages: int, octets: int, first: int = 0) -> None:
    """Deliver messages into a Maildir."""
    texts = {dotted: message(octets, 20 if dotted else 1) for dotted in (True, False)}
    for number in range(first, first + messages):
        text = texts[number % 20 == 0]
        size = len(text) + text.count(b"\n")
        name = f"{1_780_000_000 + number}.M{number}P1.bench,S={len(text)},W={size}:2,S"
        (box / "cur" / name).write_bytes(text)


def deliver(box: Path, number: int, octets: int, owner: int) -> None:
    """Deliver one new message as an MTA does: written in tmp, renamed into new."""
    name = f"{1_780_000_000 + number}.M{number}P1.bench"
    written = box / "tmp" / name
    written.write_bytes(message(octets, number))
    if os.getuid() == 0:
        os.chown(written, owner, owner)
    written.rename(box / "new" / name)
