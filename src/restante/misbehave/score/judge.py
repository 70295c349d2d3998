"""From what a client left behind to verdicts. Pure.

The client is to fetch all messages and to delete each of them, and to exit with 0 if it did.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from restante.misbehave.fault import Fault

Verdict: TypeAlias = Literal[
    "LOST", "LEAK", "HALF", "ESCAPED", "HANG", "CRASH", "SILENT", "MISSED", "GAVE UP", "RAW-ESC",
    "clean",
]  # fmt: skip

VERDICTS: Final[Mapping[Verdict, str]] = {
    "LOST": "a message was removed from the server, and the client did not store it whole",
    "LEAK": "the client sent its password without TLS, or to a server that it must not trust",
    "HALF": "the client stored a part of a message as if it were the whole",
    "ESCAPED": "the client wrote a file outside its folders",
    "HANG": "the client did not end by itself: a limit of time, twice, or of file size ended it",
    "CRASH": "the client was ended by a signal, or by an error that it did not handle",
    "SILENT": "the client failed, and exited with 0",
    "MISSED": "the client did not fetch a message that a good client fetches",
    "GAVE UP": "the client ended with an error where a good client succeeds",
    "RAW-ESC": "the client printed terminal escapes of the server",
    "clean": "the client did what a good client does",
}
"""Every verdict, the worst one first."""

SECRET_VERBS = ("PASS ", "AUTH PLAIN", "AUTH LOGIN", "AUTH XOAUTH2", "AUTH OAUTHBEARER")
FILE_TOO_LARGE = 25  # SIGXFSZ: a client that writes without end meets this limit if it is fast
FATAL_SIGNALS = frozenset({3, 4, 6, 7, 8, 11, 13, 24, 31})
CRASH_TRACES = (b"Traceback (most recent call last)", b"\nNode.js v", b"panic: ", b"core dumped")
ESCAPES = (b"\x1b[2J", b"\x1b]0;")  # of the catalogue
SENDER = b"From: ann@example.com"  # the first line of each message

_MARK = re.compile(rb"BEGIN-(\d+)")
_FORM = b"\r\n\0.>"  # octets that clients may change: line ends, doubled dots and mbox's quotes


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEvidence:
    """The evidence that a run of a client left behind.

    Attributes:
        given: the messages that the maildrop held.
        removed: those of them that are gone.
        stored: the files that hold mail now, by path.
        exit: the exit code, negative for a signal, None if the time limit ended the client.
        output: what it printed, on both streams.
        outside: the paths of files that it wrote outside its folders.
        commands: the lines that it sent.
        leaked: whether a password or a token went in clear text.
    """

    given: Sequence[bytes]
    removed: Sequence[bytes] = ()
    stored: Mapping[str, bytes]
    exit: int | None = 0
    output: bytes = b""
    outside: Sequence[str] = ()
    commands: Sequence[str] = ()
    leaked: bool = False


class ScoreFinding(NamedTuple):
    """One verdict, and what it rests on."""

    verdict: Verdict
    detail: str


class _Stored(NamedTuple):
    whole: Counter[int]  # copies, by the number of the message
    part: Counter[int]
    headers: int  # files with a header alone


def judge(fault: Fault, evidence: RunEvidence) -> list[ScoreFinding]:
    """Return all that is wrong with a run, the worst first; nothing for a clean one."""
    findings = list(_judge(fault, evidence))
    order = list(VERDICTS)
    return sorted(findings, key=lambda finding: order.index(finding.verdict))


def _judge(fault: Fault, evidence: RunEvidence) -> Iterator[ScoreFinding]:
    stored = _sort_stored(evidence)
    yield from _judge_mail(evidence, stored)
    yield from _judge_secrecy(fault, evidence)
    if evidence.outside:
        yield ScoreFinding("ESCAPED", f"wrote {', '.join(evidence.outside)}")
    if any(escape in evidence.output for escape in ESCAPES):
        yield ScoreFinding("RAW-ESC", "printed a terminal escape that the server sent")
    if evidence.exit is None:
        yield ScoreFinding("HANG", "did not end within the time limit")
    elif evidence.exit in (-FILE_TOO_LARGE, 128 + FILE_TOO_LARGE):
        yield ScoreFinding("HANG", "wrote a file without end")
    elif crash := _describe_crash(evidence.exit, evidence.output):
        yield ScoreFinding("CRASH", crash)
    else:
        yield from _judge_end(fault, evidence, stored)


def _judge_mail(evidence: RunEvidence, stored: _Stored) -> Iterator[ScoreFinding]:
    lost_numbers = Counter(_numbers(evidence.removed)) - stored.whole
    if lost_numbers:
        yield ScoreFinding(
            "LOST",
            f"removed {_name(lost_numbers)}, and did not store {_pronoun(lost_numbers)} whole",
        )
    if stored.part:
        yield ScoreFinding("HALF", f"stored {_name(stored.part)} in part")
    elif stored.headers:
        yield ScoreFinding("HALF", "stored a header without its message")


def _judge_secrecy(fault: Fault, evidence: RunEvidence) -> Iterator[ScoreFinding]:
    if evidence.leaked and fault.needs_tls:
        yield ScoreFinding("LEAK", "sent the password in clear text, though TLS was required")
    elif not fault.good_client.sends_password and any(
        line.upper().startswith(SECRET_VERBS) for line in evidence.commands
    ):
        yield ScoreFinding("LEAK", "sent the password to a server that it must not trust")


def _judge_end(fault: Fault, evidence: RunEvidence, stored: _Stored) -> Iterator[ScoreFinding]:
    """Judge how a run ended that came to its end by itself."""
    good, code = fault.good_client, evidence.exit
    expected = Counter(
        number
        for place, number in _number_messages(evidence.given)
        if good.keeps is None or place in good.keeps
    )
    missing = expected - stored.whole - stored.part
    if code == 0 and not _is_incomplete(evidence, stored):
        return  # it got over the fault
    if code == 0 and missing:
        yield ScoreFinding("SILENT", f"did not fetch {_name(missing)}, and exited with 0")
    elif code == 0 and good.exit == "not zero":
        yield ScoreFinding("SILENT", f"exited with 0; a good client {good}")
    elif missing and (stored.whole or good.exit == "not zero"):
        yield ScoreFinding("MISSED", f"did not fetch {_name(missing)}")
    elif missing:
        yield ScoreFinding("GAVE UP", f"fetched nothing, and exited with {code}")
    elif code != 0 and good.exit == "zero":
        yield ScoreFinding("GAVE UP", f"fetched all, and exited with {code}")


def _is_incomplete(evidence: RunEvidence, stored: _Stored) -> bool:
    """Return whether a message is not stored whole, or still at the server."""
    numbers = Counter(_numbers(evidence.given))
    return bool(numbers - stored.whole) or len(evidence.removed) < len(evidence.given)


def _describe_crash(code: int, output: bytes) -> str:
    """Return what a crash was, "" for none. A shell says 128 and more for a signal."""
    number = -code if code < 0 else code - 128
    if code < 0 or number in FATAL_SIGNALS:
        return f"ended by signal {number}"
    trace = next((trace for trace in CRASH_TRACES if trace in output), b"")
    return f"ended by an error that it did not handle: {_last_line(output)}" if trace else ""


def _last_line(output: bytes) -> str:
    lines = [line for line in output.decode("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1].strip()[:100] if lines else ""


def _sort_stored(evidence: RunEvidence) -> _Stored:
    """Sort what the client stored into whole messages and parts."""
    length_by_number = {
        number: _length(message, number)
        for message in evidence.given
        for number in _numbers([message])
    }
    whole: Counter[int] = Counter()
    part: Counter[int] = Counter()
    headers = 0
    for octets in evidence.stored.values():
        marks = list(_MARK.finditer(octets))
        headers += not marks and SENDER in octets
        starts = [mark.start() for mark in marks]
        for mark, (start, end) in zip(marks, pairwise([*starts, len(octets)]), strict=True):
            number = int(mark[1])
            length = _length(octets[start:end], number)
            (whole if length >= max(1, length_by_number.get(number, 1)) else part)[number] += 1
    return _Stored(whole, part, headers)


def _length(octets: bytes, number: int) -> int:
    """Return how long a message is from its BEGIN to its END, 0 for no END."""
    begin, end = octets.find(b"BEGIN-%d" % number), octets.rfind(b"END-%d" % number)
    return len(octets[begin:end].translate(None, _FORM)) if end > begin >= 0 else 0


def _number_messages(messages: Sequence[bytes]) -> Iterator[tuple[int, int]]:
    """Yield the place of each message, from 1, with the number that stands in it."""
    for place, message in enumerate(messages, 1):
        if mark := _MARK.search(message):
            yield place, int(mark[1])


def _numbers(messages: Sequence[bytes]) -> Iterator[int]:
    return (number for _, number in _number_messages(messages))


def _name(numbers: Iterable[int]) -> str:
    names = [str(number) for number in sorted(set(numbers))]
    return f"message{'s' if len(names) > 1 else ''} {' and '.join(names)}"


def _pronoun(numbers: Counter[int]) -> str:
    return "it" if numbers.total() == 1 else "them"
