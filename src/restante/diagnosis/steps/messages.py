"""Whole messages, fetched and compared with what was promised; nothing is kept of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from restante.client import messages
from restante.client.reply_sync import expect_silence
from restante.diagnosis import wording
from restante.protocol.client import operations
from restante.protocol.client.effects import REST_OF_MESSAGE
from restante.protocol.errors import (
    ENDED,
    LOST,
    RemoteError,
    ServerRefusedError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from restante.client.maildrop import MaildropState
    from restante.client.messages import MessageInfo
    from restante.diagnosis.context import CheckContext
    from restante.diagnosis.report import Step

LONGEST_LINE = 998  # octets, line end not counted: RFC 5322 section 2.1.1
MAX_REPORTED = 5  # oddities of a kind


@dataclass(slots=True, eq=False)
class MessageInspector:
    """Finds oddities in a message, each with the octet where it first stands, counted from 0."""

    found: dict[str, int] = field(default_factory=dict)
    octets: int = 0
    _line: int = 0  # octets of the line so far
    _last: bytes = b""

    def feed(self, piece: bytes) -> None:
        """Inspect the next octets."""
        self._inspect(piece)
        self.octets += len(piece)
        self._last = piece[-1:]

    def _inspect(self, piece: bytes) -> None:
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
    check: CheckContext,
    box: MaildropState,
    progress: Callable[[int, int], object] = lambda _done, _all: None,
) -> None:
    """Fetch every message; nothing is kept, marked or removed."""
    if not box.entries:
        return
    total, done = sum(entry.size for entry in box.entries.values()), 0
    session = check.session
    with check.step("messages") as step:
        for entry in box.entries.values():
            _fetch(check, step, box, entry)
            check.connection.run(expect_silence(session, 0))
            done += entry.size
            progress(done, total)
        check.connection.run(expect_silence(session, REST_OF_MESSAGE))
        for name, count in check.report.facts.get("more", {}).items():
            step.details.append(("warning", f"{name}: {count} more"))
        refused, large = _count_of(check, "retr-refused"), _count_of(check, "msg-large")
        step.text = f"{wording.messages(len(box.entries) - refused - large)} fetched"
        step.text += f", {refused} rejected" if refused else ""
        step.text += f", {large} too large" if large else ""
        odd = len([f for f in check.report.findings if f.phase == "messages"])
        step.text += "; all sizes match LIST, and no message has a fault" if not odd else ""


def _fetch(check: CheckContext, step: Step, box: MaildropState, entry: MessageInfo) -> None:
    contents = MessageInspector()
    session, max_octets = check.session, check.request.options.message_octets
    if max_octets and entry.size > max_octets:
        size = wording.octets(entry.size)
        text = f"message {entry.number} was not fetched, because LIST gives {size}"
        _warn(check, step, "msg-large", text, entry, max_octets)
        return
    box.retrieved = True
    ended: list[operations.MessageEnd] = []
    try:
        operation = operations.retr(entry.number, entry.size, max_octets)
        for piece in check.connection.pieces(session.carry_out(operation), ended):
            contents.feed(piece)
        messages.check_end(check.session, entry.number, ended[0])
    except ServerRefusedError as refused:
        _report_refused(check, step, refused, entry)
        return
    except LOST as error:
        _count(error, contents, entry)
        raise
    if session.take_oddity("msg-nofinal"):
        text = f"message {entry.number}: the last line has no line end before the terminator"
        _warn(check, step, "msg-nofinal", text, entry, contents.octets)
    elif not ended[0].has_size(entry.size):
        text = messages.size_text(entry.number, ended[0], entry.size)
        _warn(check, step, "list-size", text, entry, ended[0].octets)
    for name, place in contents.found.items():
        text = f"message {entry.number}, at octet {place}"
        _warn(check, step, name, text, entry, place)


def _report_refused(
    check: CheckContext, step: Step, refused: ServerRefusedError, entry: MessageInfo
) -> None:
    """Report a message that the server refuses to send; the others are still fetched."""
    refused.id = "retr-refused"
    refused.text = f"message {entry.number}: {refused.text or '-ERR without a reason'}"
    if not _another(check, refused.id):
        check.fail(step, refused)


def _count(error: RemoteError, contents: MessageInspector, entry: MessageInfo) -> None:
    """Say how much of the message came."""
    if isinstance(error, ENDED):
        error.id = "msg-truncated"
        error.text = (
            f"{contents.octets} of {entry.size} octets of message {entry.number} were "
            "received before the connection ended; nothing was saved or deleted"
        )
    elif contents.octets:
        error.text += (
            f"; {contents.octets} of {entry.size} octets of message {entry.number} were received"
        )


def _warn(  # noqa: PLR0913, PLR0917  # all that there is to tell of an oddity
    check: CheckContext, step: Step, name: str, text: str, entry: MessageInfo, octet: int
) -> None:
    """Record an oddity. Of each kind, only the first few are reported and the others counted."""
    if not _another(check, name):
        step.details.append(("warning", f"{name}: {text}"))
        check.warn(step, name, text, {"message": entry.number, "octet": octet})


def _count_of(check: CheckContext, name: str) -> int:
    """Return how many messages have an oddity or a failure of this kind."""
    listed = len([finding for finding in check.report.findings if finding.id == name])
    return listed + int(check.report.facts.get("more", {}).get(name, 0))


def _another(check: CheckContext, name: str) -> bool:
    """Return whether enough oddities of a kind were reported; if so, count this one."""
    if len([f for f in check.report.findings if f.id == name]) < MAX_REPORTED:
        return False
    more = check.report.facts.setdefault("more", {})
    more[name] = more.get(name, 0) + 1
    return True
