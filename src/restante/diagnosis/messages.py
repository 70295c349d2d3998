"""Whole messages, fetched and compared with what was promised; nothing is kept of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from restante.client import maildrop
from restante.diagnosis import texts
from restante.diagnosis.counting import nothing_more
from restante.protocol import client
from restante.protocol.dialogue import carry_out
from restante.protocol.failures import Lost, RemoteError, Stalled, Truncated

if TYPE_CHECKING:
    from collections.abc import Callable

    from restante.client.maildrop import Box, Entry
    from restante.diagnosis.report import Step
    from restante.diagnosis.work import Work

LONGEST_LINE = 998  # octets, line end not counted: RFC 5322 section 2.1.1
MOST_TOLD = 5  # oddities of a kind
NOT_COUNTED = len(b"\r\n.")  # octets by which a message without its last line end may differ


@dataclass(slots=True)
class Contents:
    """What is odd in a message, each with the octet where it was first seen, counted from 0."""

    found: dict[str, int] = field(default_factory=dict)
    octets: int = 0
    _line: int = 0  # octets of the line so far
    _last: bytes = b""
    tail: bytes = b""

    def feed(self, piece: bytes) -> None:
        """Look at the next octets."""
        self._look(piece)
        self.tail = (self.tail + piece)[-3:]
        self.octets += len(piece)
        self._last = piece[-1:]

    def _look(self, piece: bytes) -> None:
        if "nul" not in self.found and (place := piece.find(b"\0")) >= 0:
            self.found["nul"] = self.octets + place
        if "bare-lf" not in self.found and piece.count(b"\n") != piece.count(b"\r\n"):
            place = self._bare_lf(piece)
            if place >= 0:
                self.found["bare-lf"] = self.octets + place
        if "long-line" not in self.found:
            self._measure(piece)

    def _bare_lf(self, piece: bytes) -> int:
        place = piece.find(b"\n")
        while place >= 0:
            before = piece[place - 1 : place] if place else self._last
            if before != b"\r":
                return place
            place = piece.find(b"\n", place + 1)
        return -1

    def _measure(self, piece: bytes) -> None:
        begin = 0
        while (end := piece.find(b"\n", begin)) >= 0:
            if self._line + end - begin > LONGEST_LINE + 1:
                self.found["long-line"] = self.octets + begin - self._line
                return
            begin, self._line = end + 1, 0
        self._line += len(piece) - begin
        if self._line > LONGEST_LINE + 1:
            self.found["long-line"] = self.octets + len(piece) - self._line


def fetch_all(
    work: Work, box: Box, progress: Callable[[int, int], object] = lambda _done, _all: None
) -> None:
    """Fetch every message; nothing is kept, marked or removed."""
    if not box.entries:
        return
    total, done = sum(entry.size for entry in box.entries.values()), 0
    peer = work.session.peer
    with work.step("messages") as step:
        for entry in box.entries.values():
            _fetch(work, step, box, entry)
            work.online.run(nothing_more(peer, peer.command, 0))
            done += entry.size
            progress(done, total)
        work.online.run(nothing_more(peer, peer.command, client.LINGER))
        for name, count in work.report.facts.get("more", {}).items():
            step.details.append(("but", f"{name}: {count} more"))
        step.text = f"{texts.messages(len(box.entries))} fetched"
        odd = len([f for f in work.report.warnings if f.phase == "messages"])
        step.text += "; sizes as listed, nothing odd" if not odd else ""


def _fetch(work: Work, step: Step, box: Box, entry: Entry) -> None:
    contents = Contents()
    peer = work.session.peer
    peer.phase = "message"
    box.retrieved = True
    ended: list[client.Received] = []
    try:
        operation = client.retr(entry.number, entry.size)
        for piece in work.online.pieces(carry_out(peer, operation), ended):
            contents.feed(piece)
        maildrop.check_end(work.session, entry.number, ended[0])
    except (Stalled, Truncated, Lost) as error:
        if not _ends_without_line(contents, entry):
            _count(error, contents, entry)
            raise
        text = f"message {entry.number}: its last line has no end, so the terminator is none"
        _warn(work, step, "msg-nofinal", text, entry, contents.octets - 1)
        if not isinstance(error, Stalled):
            raise
        peer.broken = False
    else:
        if ended[0].octets != entry.size:
            text = f"message {entry.number} has {ended[0].octets} octets; LIST said {entry.size}"
            _warn(work, step, "list-size", text, entry, ended[0].octets)
    for name, place in contents.found.items():
        text = f"message {entry.number}, at octet {place}"
        _warn(work, step, name, text, entry, place)


def _ends_without_line(contents: Contents, entry: Entry) -> bool:
    """Return whether all octets came, and a dot behind the last line with no line end between."""
    came = contents.octets - 1
    return contents.tail.endswith(b".") and abs(came - entry.size) <= NOT_COUNTED


def _count(error: RemoteError, contents: Contents, entry: Entry) -> None:
    """Say how much of the message came."""
    error.command = f"RETR {entry.number}"
    if isinstance(error, (Truncated, Lost)):
        error.id = "msg-truncated"
        error.text = (
            f"{contents.octets} of {entry.size} octets of message {entry.number} came, "
            "then the connection ended; nothing saved, nothing deleted"
        )
    elif contents.octets:
        error.text += f"; {contents.octets} of {entry.size} octets of message {entry.number} came"


def _warn(  # noqa: PLR0913, PLR0917  # all that there is to tell of an oddity
    work: Work, step: Step, name: str, text: str, entry: Entry, octet: int
) -> None:
    """Put down an oddity; of each kind only the first few are told, and the others counted."""
    same = [f for f in work.report.warnings if f.id == name]
    if len(same) >= MOST_TOLD:
        more = work.report.facts.setdefault("more", {})
        more[name] = more.get(name, 0) + 1
    else:
        step.details.append(("but", f"{name}: {text}"))
        work.warn(step, name, text, {"message": entry.number, "octet": octet})
