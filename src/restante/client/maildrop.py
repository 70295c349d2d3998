"""The dialogues of an open maildrop, which the blocking and the asyncio client share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from restante.client import header_part, listing, login
from restante.client.credentials import require_text
from restante.client.error_ids import assign_id, is_unknown_command, reports_failed_removal
from restante.client.mail_address import split_literal
from restante.client.messages import MessageTable, check_end, size_text
from restante.client.options import PORTS, Target, parse_url
from restante.client.session import leave, prepare_login
from restante.net.host_names import require_host
from restante.protocol.client import operations
from restante.protocol.client.connection import LISTING_LIMIT
from restante.protocol.client.effects import REST_OF_MESSAGE, Peek
from restante.protocol.client.pipeline import pipeline
from restante.protocol.errors import (
    ConnectionLostError,
    LocalError,
    MalformedReplyError,
    Phase,
    ReplyTimeoutError,
    ServerRefusedError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from restante.client.credentials import Credentials
    from restante.client.messages import MessageInfo
    from restante.client.session import ClientSession
    from restante.protocol.client.connection import ServerPeer
    from restante.protocol.client.effects import Dialogue
    from restante.protocol.client.replies import Status


QUIT_SECONDS = 2.0  # for the answer to a QUIT that removes nothing


@dataclass(slots=True, eq=False)
class MaildropState:
    """The state of an open maildrop: its messages, the marked ones, and whether any was fetched."""

    session: ClientSession
    entries: MessageTable = field(default_factory=lambda: MessageTable({}, {}))
    marked: set[int] = field(default_factory=set)
    retrieved: bool = False

    @property
    def may_quit(self) -> bool:
        """Whether QUIT removes nothing: neither what was marked nor, by policy, what was read."""
        return not self.marked and not self.retrieved and not self.session.peer.broken


def target_of(account: str | Target, seconds: float | None = None) -> Target:
    """Return the server of an account: that of a URL, or the server that an address leads to.

    An IP address in place of the domain is the server, with TLS from the first octet. The look-up
    takes at most `seconds`.

    Raises:
        ValueError: it is neither a URL nor an address, or the host of the target cannot be one.
        TypeError: it is neither text nor a target, such as an unset variable's None.
        ServerUnreachableError: nothing is known of its domain.
        OtherDomainError: only the DNS names the server.
    """
    if isinstance(account, Target):
        require_host(account.host)
        return account
    require_text("account", account)
    if "://" in account:
        return parse_url(account)
    literal = split_literal(account)
    if literal is not None:
        user, host = literal
        return Target(host, PORTS["implicit"], "implicit", user)
    from restante.client.discovery import lookup

    return lookup.target_of(account, lookup.SECONDS if seconds is None else seconds)


def open_maildrop(session: ClientSession, credentials: Credentials) -> Dialogue[MaildropState]:
    """Log in and list the messages. Raises RemoteError."""
    yield from prepare_login(session)
    yield from login.log_in(session, credentials)
    return (yield from list_messages(session))


def list_messages(session: ClientSession) -> Dialogue[MaildropState]:
    """List the messages of a session that is logged in."""
    return MaildropState(session, (yield from listing.list_messages(session)))


def _begin_command(state: MaildropState, seconds: float = 0) -> Dialogue[ServerPeer]:
    """Check that no octets came since the last reply, nor come within `seconds`.

    Raises:
        MalformedReplyError: octets came, which no command asked for.
        ConnectionLostError: the server sent an -ERR, by which it ends the session.
    """
    peer = state.session.peer
    peer.unread += yield from Peek(seconds)
    extra = peer.excerpt(bytes(peer.unread))
    if extra.startswith("-ERR"):
        raise peer.error(
            ConnectionLostError, "conn-lost", f'the server ended the session: "{extra}"'
        )
    peer.check_unread()
    return peer


def headers(
    state: MaildropState, numbers: Iterable[int], lines: int = 0, keep: int = LISTING_LIMIT
) -> Dialogue[list[bytes | ServerRefusedError]]:
    """Return the headers of messages by TOP, pipelined if the server allows it.

    The first `keep` octets of each are kept.

    Raises MalformedReplyError: one, or all together, have more octets than LISTING_LIMIT.
    """
    session = state.session
    if session.avoids_top:
        return [_avoided_top(number) for number in numbers]
    batch = [operations.top(number, lines, keep) for number in numbers]
    total = 0

    def count(head: bytes | ServerRefusedError) -> None:
        nonlocal total
        total += len(head) if isinstance(head, bytes) else 0
        if total > LISTING_LIMIT:
            text = f"heads of {total} octets together: ask for fewer, or keep less of each"
            raise peer.error(MalformedReplyError, "bad-reply", text)

    window = session.options.window if session.can_pipeline else 0
    peer = yield from _begin_command(state)
    heads = yield from pipeline(peer, batch, window, count)
    for head in heads:
        if isinstance(head, ServerRefusedError):
            assign_id(head, session.capabilities, tls=session.tls is not None)
            if head.id == "retr-refused" and _lacks_top(session, head):
                head.id = "top-missing"
    return heads


def _avoided_top(number: int) -> ServerRefusedError:
    text = "TOP ended a session before"
    return ServerRefusedError("top-missing", text, phase=Phase.MESSAGE, command=f"TOP {number}")


def check_fetch(refused: ServerRefusedError, size: int) -> None:
    """Raise a refusal of TOP, unless the server has no TOP and the message is small enough."""
    if refused.id != "top-missing" or size > header_part.MAX_OCTETS:
        raise refused


def _lacks_top(session: ClientSession, refused: ServerRefusedError) -> bool:
    """Return whether the server has no TOP at all, rather than no such message."""
    capabilities = session.capabilities
    return is_unknown_command(refused.text) or (
        capabilities is not None and "TOP" not in capabilities
    )


def retrieve(state: MaildropState, number: int) -> Dialogue[operations.MessageEnd]:
    """Yield a message's octets as chunks.

    The caller then compares its size with LIST's by `check_size`.

    Raises:
        LocalError: LIST says that it is larger than the options allow.
        MalformedReplyError: more comes than the options allow, or it goes on after its end
            (not-stuffed).
    """
    session = state.session
    size = state.entries.sizes.get(operations.require_number(number))
    limit = session.options.message_octets
    if size and limit and size > limit:
        text = f"message {number} has {size} octets; message_octets allows {limit}: not fetched"
        raise LocalError(text)
    yield from _begin_command(state)
    state.retrieved = True
    received = yield from state.session.carry_out(operations.retr(number, size, limit))
    check_end(session, number, received)
    return received


def retrieve_many(
    state: MaildropState,
    numbers: Sequence[int],
    on_end: Callable[[int, operations.MessageEnd | ServerRefusedError], None],
) -> Dialogue[None]:
    """Yield the octets of messages as chunks, with the commands sent ahead if the server allows it.

    So each size must be exactly LIST's: otherwise a line of the message could pass for the reply
    to the next command. `on_end` is called with each number, and how its message ended or why the
    server refused it. Raises what `retrieve` raises; MalformedReplyError for a size (list-size).
    """
    session = state.session
    limit = session.options.message_octets
    sizes = {number: find_size(state, number) for number in numbers}
    if limit and any(size > limit for size in sizes.values()):
        raise LocalError(f"a message has more than the {limit} octets of message_octets")
    order = iter(numbers)

    def check(outcome: operations.MessageEnd | ServerRefusedError) -> None:
        number = next(order)
        if isinstance(outcome, ServerRefusedError):
            assign_id(outcome, session.capabilities, tls=session.tls is not None)
        elif outcome.octets != sizes[number]:  # mail could choose its lines so that `bare` fits
            text = size_text(number, outcome, sizes[number])
            raise peer.error(MalformedReplyError, "list-size", text)
        else:
            check_end(session, number, outcome)
        on_end(number, outcome)

    peer = yield from _begin_command(state)
    state.retrieved = True
    window = session.options.window if session.can_pipeline else 0
    batch = [operations.retr(number, sizes[number], limit) for number in numbers]
    yield from pipeline(peer, batch, window, check)


def mark(state: MaildropState, number: int) -> Dialogue[None]:
    """Mark a message, to be removed by `commit`. RFC 1939 section 5.

    It counts as marked from the command on, and only -ERR proves that it is not: if the reply is
    lost, or is +OK with a failure, the server may have marked it, and QUIT would remove it.
    """
    operation = operations.dele(number)
    yield from _begin_command(state)
    before = frozenset(state.marked)
    state.marked.add(number)
    try:
        yield from state.session.carry_out(operation)
    except ServerRefusedError as refused:
        if not refused.says_ok:
            state.marked &= before
        raise


def mark_many(
    state: MaildropState, numbers: Iterable[int]
) -> Dialogue[dict[int, ServerRefusedError]]:
    """Mark messages like `mark`, with the commands sent ahead if the server allows it.

    The last message is the first one, since some servers number the messages after a deleted one
    anew. Returns the refusals of the server, by message number.
    """
    session = state.session
    window = session.options.window if session.can_pipeline else 0
    order = sorted(set(numbers), reverse=True)
    batch = [operations.dele(number) for number in order]
    peer = yield from _begin_command(state)
    before = frozenset(state.marked)
    state.marked.update(order)
    replies = yield from pipeline(peer, batch, window)
    answered = zip(order, replies, strict=True)
    refused = {n: reply for n, reply in answered if isinstance(reply, ServerRefusedError)}
    for error in refused.values():
        assign_id(error, session.capabilities, tls=session.tls is not None)
    state.marked -= {n for n, error in refused.items() if not error.says_ok} - before
    return refused


def unmark(state: MaildropState) -> Dialogue[None]:
    """Remove all marks. RFC 1939 section 5."""
    yield from _begin_command(state)
    yield from state.session.carry_out(operations.rset())
    state.marked.clear()


def run_raw_command(state: MaildropState, line: str) -> Dialogue[Status]:
    """Carry out a line that a person typed, and note the messages that it marks or fetches."""
    from restante.protocol.client.raw_command import MESSAGE_NUMBER, raw_command

    operation = raw_command(line)
    yield from _begin_command(state)
    status = yield from state.session.carry_out(operation)
    verb, *arguments = line.upper().split() or [""]  # by any blanks, as some servers do
    if not status.ok:
        return status
    match verb:
        case "DELE":
            number = " ".join(arguments)
            is_known = MESSAGE_NUMBER.fullmatch(number)
            state.marked.add(int(number) if is_known else 0)  # 0: the server knows which
        case "RSET":
            state.marked.clear()
        case "RETR":
            state.retrieved = True
        case "QUIT":
            state.session.peer.broken = True
    return status


def commit(state: MaildropState) -> Dialogue[None]:
    """Send QUIT, which removes the marked messages.

    Raises:
        ServerRefusedError: some of them are still there (quit-err). GreenMail says so after +OK.
        MalformedReplyError, ConnectionLostError: before QUIT, replies and commands were not in
            step, or the server had ended the session; nothing is removed.
    """
    try:
        in_doubt = state.marked and state.retrieved  # else the reply to QUIT shows what is wrong
        yield from _begin_command(state, REST_OF_MESSAGE if in_doubt else 0)
        status = yield from leave(state.session)
        if state.marked and reports_failed_removal(status.text):
            raise state.session.peer.refusal(status)
    finally:
        state.session.peer.broken = True


def note_failed_quit(session: ClientSession, error: Exception) -> None:
    """Note the error of a QUIT without marked messages.

    Raises the error if it shows that the reply before it was cut (not-stuffed).
    """
    if isinstance(error, MalformedReplyError) and error.id == "not-stuffed":
        raise error
    if isinstance(error, ReplyTimeoutError):
        text = f"{error.text}; no message was marked"
        session.peer.note_oddity("quit-noreply", text)


def find_entry(state: MaildropState, number: int) -> MessageInfo:
    """Return a message by its number. Raises LocalError: an unknown number."""
    try:
        return state.entries[operations.require_number(number)]
    except KeyError:
        raise _unknown_message(state, number) from None


def find_size(state: MaildropState, number: int) -> int:
    """Return the octets of a message by LIST. Raises LocalError: an unknown number."""
    try:
        return state.entries.sizes[operations.require_number(number)]
    except KeyError:
        raise _unknown_message(state, number) from None


def _unknown_message(state: MaildropState, number: int) -> LocalError:
    return LocalError(f"unknown message {number}; the mailbox has {len(state.entries)}")
