"""What both faces of the client share: opening an account, its messages, their sizes, the end."""

from __future__ import annotations

import inspect
import warnings
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from restante.client import header_part, login
from restante.client import session as sessions
from restante.client.options import Target, parse_url
from restante.client.reasons import is_unknown_command, named
from restante.client.session import Session
from restante.protocol import client
from restante.protocol.by_hand import by_hand
from restante.protocol.dialogue import LISTING_LIMIT, Glance, carry_out, pipelined
from restante.protocol.errors import LocalError
from restante.protocol.failures import BadReply, Denied, Lost, RemoteError, Stalled

if TYPE_CHECKING:
    from collections.abc import Iterable

    from restante.client.mechanisms import Credentials
    from restante.protocol.dialogue import Dialogue, Peer, Status


QUIT_SECONDS = 2.0  # for the answer to a QUIT that removes nothing

_PASSED_OVER = ("restante.client.", "contextlib")  # modules that only hand on what was asked for


class SizeWarning(UserWarning):
    """A message whose octets are not as many as LIST said."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A message as the server lists it."""

    number: int  # 1-based, for this session only
    size: int  # octets as LIST counts them
    uid: str | None  # None where the server has no UIDL


class Listed:
    """What both faces' messages have.

    Attributes:
        number: 1-based, good for this session.
        size: octets as LIST counts them.
        uid: its unique-id, None where the server has none.
    """

    def __init__(self, entry: Entry) -> None:
        self.number, self.size, self.uid = entry.number, entry.size, entry.uid

    def __repr__(self) -> str:
        return f"<message {self.number}: {self.size} octets, uid {self.uid!r}>"


@dataclass(slots=True)
class Box:
    """The state of an open maildrop: what is in it, what is marked, whether it was looked into."""

    session: Session
    entries: dict[int, Entry] = field(default_factory=dict)
    marked: set[int] = field(default_factory=set)
    retrieved: bool = False

    @property
    def may_quit(self) -> bool:
        """Whether QUIT removes nothing: neither what was marked nor, by policy, what was read."""
        return not self.marked and not self.retrieved and not self.session.peer.broken


def target_of(account: str | Target, seconds: float | None = None) -> Target:
    """Return where an account's maildrop is: a URL says it, an address is looked up.

    The look-up takes so many seconds at most. Raises ValueError: it is neither. Raises Unreachable:
    nothing is known of its domain. Raises OtherDomain: only the DNS names the server.
    """
    if isinstance(account, Target):
        return account
    if "://" in account:
        return parse_url(account)
    from restante.client import lookup

    return lookup.target_of(account, lookup.SECONDS if seconds is None else seconds)


def open_(session: Session, credentials: Credentials) -> Dialogue[Box]:
    """Log in and list the messages. Raises RemoteError."""
    yield from sessions.open_(session)
    yield from login.log_in(session, credentials)
    return (yield from load(session))


def load(session: Session) -> Dialogue[Box]:
    """List the messages of a session that is logged in."""
    peer = session.peer
    peer.phase = "mailbox"
    sizes = yield from _sizes(peer)
    uids: dict[int, str] = {}
    try:
        uids = yield from carry_out(peer, client.uidl())
    except Denied:
        peer.note("<", "(no unique-ids)")
    entries = {number: Entry(number, size, uids.get(number)) for number, size in sizes.items()}
    return Box(session, entries)


def _sizes(peer: Peer) -> Dialogue[dict[int, int]]:
    """Return LIST's sizes. Raises Denied: it is refused, and STAT does not say why."""
    try:
        return (yield from carry_out(peer, client.list_()))
    except Denied as refused:
        try:
            totals = yield from carry_out(peer, client.stat())
        except Denied as again:
            if not says_empty(again):
                raise refused from None
            totals = client.Totals(0, 0)
        return empty_list(peer, refused, totals)


def says_empty(refused: Denied) -> bool:
    """Return whether a server refuses STAT or LIST only because there are no messages."""
    return not refused.code and client.says_no_mail(refused.text)


def empty_list(peer: Peer, refused: Denied, totals: client.Totals) -> dict[int, int]:
    """Return no sizes where LIST is refused of an empty mailbox. Raises Denied: it has messages."""
    if totals.messages or refused.code:
        raise refused
    peer.odd("list-empty", f'LIST is refused of an empty mailbox: "{refused.text}"')
    return {}


def _next(box: Box, phase: str, seconds: float = 0) -> Dialogue[Peer]:
    """Begin a command in a phase. What came since the last reply nobody asked for. Raises BadReply.

    Raises Lost: it was an -ERR, by which a server takes its leave.
    """
    peer = box.session.peer
    peer.inbox += yield Glance(seconds)
    extra = peer.excerpt(bytes(peer.inbox))
    if extra.startswith("-ERR"):
        raise peer.fail(Lost, "conn-lost", f'the server ended the session: "{extra}"')
    peer.check_inbox()
    peer.phase = phase
    return peer


def headers(
    box: Box, numbers: Iterable[int], lines: int = 0, keep: int = LISTING_LIMIT
) -> Dialogue[list[bytes | Denied]]:
    """Return the heads of messages by TOP; in one go where the server takes commands ahead.

    Of each the first `keep` octets are kept. Raises BadReply: one, or all together, have more
    octets than a list may have.
    """
    session = box.session
    operations = [client.top(number, lines, keep) for number in numbers]
    kept = 0

    def count(head: bytes | Denied) -> None:
        nonlocal kept
        kept += len(head) if isinstance(head, bytes) else 0
        if kept > LISTING_LIMIT:
            text = f"heads of {kept} octets together: ask for fewer, or keep less of each"
            raise peer.fail(BadReply, "bad-reply", text)

    window = session.options.window if session.can_pipeline else 0
    peer = yield from _next(box, "message")
    heads = yield from pipelined(peer, operations, window, count)
    for head in heads:
        if isinstance(head, Denied):
            named(head, session.capabilities, tls=session.tls is not None)
            if head.id == "retr-refused" and _lacks_top(session, head):
                head.id = "top-missing"
    return heads


def check_fetch(refused: Denied, size: int) -> None:
    """Raise a refusal of TOP, unless the server has no TOP and the message is small enough."""
    if refused.id != "top-missing" or size > header_part.MOST_OCTETS:
        raise refused


def _lacks_top(session: Session, refused: Denied) -> bool:
    """Return whether the server has no TOP at all, rather than no such message."""
    known = session.capabilities
    return is_unknown_command(refused.text) or (known is not None and "TOP" not in known)


def retrieve(box: Box, number: int) -> Dialogue[client.Received]:
    """Give a message's octets as chunks. Raises BadReply: it goes on behind its end (not-stuffed).

    Raises LocalError where LIST says that it is larger than the options allow, and BadReply where
    more comes all the same.

    Whoever asked compares its size with LIST's by `check_size`, once this is over.
    """
    session = box.session
    size = box.entries[number].size if number in box.entries else None
    most = session.options.message_octets
    if size and most and size > most:
        text = f"message {number} has {size} octets; message_octets allows {most}: not fetched"
        raise LocalError(text)
    peer = yield from _next(box, "message")
    box.retrieved = True
    received = yield from carry_out(peer, client.retr(number, size, most))
    check_end(session, number, received)
    return received


def check_size(box: Box, number: int, received: client.Received) -> None:
    """Compare a message's size with LIST's. The connection is in step whatever comes of it.

    Raises BadReply: it is another (list-size), and the options want an error. Where they want a
    warning, their `notice` hears it; without one a SizeWarning names the line outside of this
    package that asked.
    """
    size = box.entries[number].size if number in box.entries else received.octets
    if received.has_size(size):
        return
    text = size_text(number, received, size)
    if box.session.options.wrong_size == "error":
        raise BadReply("list-size", text, phase="message", command=f"RETR {number}")
    if box.session.options.notice is not None:
        box.session.options.notice("list-size", text)
    else:
        warnings.warn(text, SizeWarning, stacklevel=_frames_inside())


def size_text(number: int, received: client.Received, size: int) -> str:
    """Return in words that a size is not LIST's, and why that may be."""
    text = f"message {number} has {received.octets} octets; LIST said {size}"
    if received.dots and received.octets + received.dots == size:
        text += (
            f"; {received.dots} dots at line beginnings were taken away, as many as are missing: "
            "the server may not double them (not-stuffed)"
        )
    return text


def _frames_inside() -> int:
    """Return how many frames up from `check_size` the first one outside of this package is."""
    level, frame = 0, inspect.currentframe()
    while frame and str(frame.f_globals.get("__name__")).startswith(_PASSED_OVER):
        level, frame = level + 1, frame.f_back
    return level


def check_end(session: Session, number: int, received: client.Received) -> None:
    """Make sure that a message's end was its end. Raises BadReply."""
    if received.behind:
        text = (
            f"message {number} goes on behind line {received.lines}, "
            "which the server took for its end: a dot was not stuffed"
        )
        raise session.peer.fail(BadReply, "not-stuffed", text)


def mark(box: Box, number: int) -> Dialogue[None]:
    """Mark a message, to be removed by `commit`. RFC 1939 section 5.

    It counts as marked from the command on: the server may have heard it, come a reply or not.
    """
    operation = client.dele(number)
    peer = yield from _next(box, "mailbox")
    before = frozenset(box.marked)
    box.marked.add(number)
    try:
        yield from carry_out(peer, operation)
    except Denied:
        box.marked &= before
        raise


def unmark(box: Box) -> Dialogue[None]:
    """Take all marks away. RFC 1939 section 5."""
    peer = yield from _next(box, "mailbox")
    yield from carry_out(peer, client.rset())
    box.marked.clear()


def typed(box: Box, line: str) -> Dialogue[Status]:
    """Carry out a line that a person typed, and keep count of what it marks and fetches."""
    operation = by_hand(line)
    peer = yield from _next(box, box.session.peer.phase)
    status = yield from carry_out(peer, operation)
    verb, _, argument = line.strip().upper().partition(" ")
    if status.ok:
        if verb == "DELE":  # what is marked by no number nobody knows: call it 0
            box.marked.add(int(argument) if argument.strip().isdecimal() else 0)
        elif verb == "RSET":
            box.marked.clear()
        box.retrieved = box.retrieved or verb == "RETR"
        box.session.peer.broken = box.session.peer.broken or verb == "QUIT"
    return status


def commit(box: Box) -> Dialogue[None]:
    """QUIT, and so remove what is marked. Raises Denied: some of it is still there (quit-err).

    Raises BadReply or Lost before QUIT: replies and commands are not in step, or the server has
    ended the session; nothing is removed.
    """
    try:
        yield from _next(box, "quit", client.LINGER if box.retrieved else 0)
        yield from sessions.leave(box.session)
    finally:
        box.session.peer.broken = True


def quit_failed(session: Session, error: Exception) -> None:
    """Take note of a QUIT that removes nothing and went wrong.

    Raises it where it shows that the reply before it was cut (not-stuffed).
    """
    if isinstance(error, BadReply) and error.id == "not-stuffed":
        raise error
    if isinstance(error, Stalled):
        text = f"{error.text}; nothing was to be removed"
        session.peer.odd("quit-noreply", text)


def _is_first(error: Lost, session: Session) -> bool:
    """Return whether a connection was lost at the command behind CAPA."""
    login = error.phase == "login" and len(session.tried) == 1
    return error.command.startswith("STLS") or (
        login and error.command.startswith(("USER", "AUTH"))
    )


def without_capa(error: RemoteError, session: Session) -> Session | None:
    """Return a session for another try that leaves CAPA out, where the server broke off at it."""
    broke_off = isinstance(error, (Lost, Stalled)) or error.id == "bad-reply"
    at_capa = error.phase == "capa" and broke_off and error.id != "out-of-time"
    behind_it = isinstance(error, Lost) and session.capa_refused and _is_first(error, session)
    if not (at_capa or behind_it) or not session.options.capa:
        return None
    again = Session(session.target, replace(session.options, capa=False), ends=session.ends)
    again.peer.odd("capa-lost", error.text)
    return again


def entry_of(box: Box, number: int) -> Entry:
    """Return a message by its number. Raises LocalError: there is none."""
    if number not in box.entries:
        raise LocalError(f"there is no message {number}: there are {len(box.entries)}")
    return box.entries[number]
