"""The mail of a trial: letters that differ in their text, which also shows that one is whole."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_LINES = (1, 3, 40, 700, 2, 5)  # of each letter: one is longer than a buffer


def letters(trial: str, count: int = 6) -> list[bytes]:
    """Return the letters of a trial, with LF ends, as they are delivered to the server."""
    return [_letter(trial, number, _LINES[number % len(_LINES)]) for number in range(count)]


def _letter(trial: str, number: int, lines: int) -> bytes:
    mark = f"letter-{trial}-{number}"
    body = "".join(f".{mark} line {line} {'x' * 60}\n" for line in range(lines))
    text = (
        f"Return-Path: <bob@example.com>\n"
        f"Received: from example.com by example.org; Fri, 27 Nov 2026 10:00:0{number} +0000\n"
        f"From: bob@example.com\nTo: ann@example.com\nSubject: {mark}\n"
        f"Message-ID: <{mark}@example.com>\nDate: Fri, 27 Nov 2026 10:00:0{number} +0000\n"
        f"\n{body}From {mark}\nend-{mark}-end\n"
    )
    return text.encode()


@dataclass(frozen=True, slots=True)
class Tally:
    """The counts of the letters of a trial.

    Attributes:
        lost: letters that are neither at the server nor, whole, at the destination.
        doubles: how many too many arrived.
        damaged: how many arrived that are not whole.
        left: how many are at the server.
        arrived: how many letters arrived whole, once or more often.
    """

    lost: int
    doubles: int
    damaged: int
    left: int
    arrived: int


def tally_all(
    sent: Sequence[bytes], inboxes: Iterable[Iterable[bytes]], left: Sequence[bytes]
) -> Tally:
    """Compare what was sent with what arrived in several inboxes, each of which should have all."""
    found = [tally(sent, inbox, left) for inbox in inboxes]
    return Tally(
        sum(each.lost for each in found),
        sum(each.doubles for each in found),
        sum(each.damaged for each in found),
        len(left),
        min(each.arrived for each in found),
    )


def tally(sent: Sequence[bytes], arrived: Iterable[bytes], left: Iterable[bytes]) -> Tally:
    """Compare what was sent with what arrived, and with what is left at the server.

    Line ends do not matter, nor do fields that a destination adds before the first field.
    """
    whole: Counter[bytes] = Counter()
    damaged = 0
    for message in arrived:
        text = message.replace(b"\r\n", b"\n")
        mark = _mark(text)
        found = [letter for letter in sent if mark and _mark(letter) == mark]
        if found and _body(text) == _body(found[0]):
            whole[mark] += 1
        else:
            damaged += 1
    at_server = [_mark(letter.replace(b"\r\n", b"\n")) for letter in left]
    lost = sum(_mark(letter) not in whole and _mark(letter) not in at_server for letter in sent)
    doubles = sum(count - 1 for count in whole.values())
    return Tally(lost, doubles, damaged, len(at_server), len(whole))


def _mark(text: bytes) -> bytes:
    found = re.search(rb"^Message-ID: <(letter-[^@]+)@", text, re.MULTILINE | re.IGNORECASE)
    return found[1] if found else b""


def _body(text: bytes) -> bytes:
    """Return the body, without the empty lines at its end that an mbox may add."""
    return text.partition(b"\n\n")[2].rstrip(b"\n")
