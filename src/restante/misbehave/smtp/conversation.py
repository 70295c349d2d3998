"""A session of SMTP, reply by reply, for faults to change.

`in_parts` makes such a session of `restante.delivery.protocol.serve`: it yields an `Answer` where
the server yields octets and then waits. `as_octets` is the way back. Between them faults change the
replies, as in `restante.misbehave.conversation`.

There is no I/O here, and no clock.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from restante.delivery.protocol.needs import DeliverMessage, ReadCommand, ReceiveMessage
from restante.delivery.protocol.serve import encode_reply
from restante.delivery.protocol.session import CommandError
from restante.delivery.replies import DELIVERED
from restante.misbehave.conversation import (
    GREETING,
    Answer,
    CommandLine,
    ReplyParts,
    is_plain,
    next_step,
    send_reply,
)
from restante.protocol.errors import LineTooLong, Refusal
from restante.protocol.server.needs import Need
from restante.protocol.server.session import EndReason

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from restante.delivery.protocol.needs import Conversation as Octets
    from restante.delivery.replies import DeliveryReply
    from restante.misbehave.conversation import Conversation

MESSAGE, CHALLENGE = "MESSAGE", "CHALLENGE"
"""In place of a verb: what the reply after the dot answers, and a line of the server in AUTH.

The argument of MESSAGE is its octets.
"""

DROPPED = CommandLine("")  # the session's reply to it is not sent


class SavedState(Protocol):
    """A session that can go back to where it stood before a command."""

    def save(self) -> object:
        """Return where the session stands."""

    def restore(self, saved: Any) -> None:
        """Go back to what `save` returned."""


@dataclass(frozen=True, slots=True)
class StartSmtpTls(Need[None]):
    """TLS from here on. What the client sent in clear after STARTTLS is thrown away."""


@dataclass(frozen=True, slots=True)
class ReadResponse(ReadCommand):
    """The client's line in AUTH: RFC 4954 section 4."""


def in_parts(conversation: Octets, session: int = 0) -> Conversation:
    """Return a session of SMTP with its replies in parts. `session` counts from 0.

    The reply to a message comes before its delivery: a fault that refuses it stores nothing.
    """
    command, replies = CommandLine(GREETING), b""
    answer: object = None
    while True:
        try:
            step = next_step(conversation, answer)
        except StopIteration:
            yield Answer(ReplyParts(command=command, session=session, status=replies), None)
            return EndReason.QUIT
        if isinstance(step, bytes):
            replies, answer = replies + step, None
            continue
        try:
            if isinstance(step, DeliverMessage):
                status = encode_reply(str(DELIVERED))
                message = CommandLine(MESSAGE, str(len(step.message)))
                reply = ReplyParts(command=message, session=session, status=status)
                answer, command = (yield Answer(reply, step)), DROPPED
            elif isinstance(step, ReadCommand | ReceiveMessage | StartSmtpTls):
                answer = yield _ask(step, command, replies, session)
                command = _next_command(step, answer, command, replies)
            else:
                answer = yield step
        except LineTooLong as error:
            command, answer = CommandLine("?"), error
        except Refusal as refused:  # a fault refused what was to come
            command, answer = DROPPED, CommandError(str(refused))
        replies = b""


def _ask(
    step: ReadCommand | ReceiveMessage | StartSmtpTls,
    command: CommandLine,
    replies: bytes,
    session: int,
) -> Answer:
    """Return a reply, and what the session waits for then."""
    if command is DROPPED:
        replies = b""
    elif replies.startswith(b"334") and isinstance(step, ReadCommand):
        command, step = CommandLine(CHALLENGE, command.argument), ReadResponse(step.limit)
    return Answer(ReplyParts(command=command, session=session, status=replies), step)


def _next_command(
    step: object, answer: object, command: CommandLine, replies: bytes
) -> CommandLine:
    """Return what the next reply answers, after a step of the session and its answer."""
    if isinstance(step, ReceiveMessage):
        return CommandLine(MESSAGE)
    if replies.startswith(b"334"):
        return command  # AUTH goes on
    if not isinstance(answer, bytes):
        return CommandLine("?")
    verb, _, argument = answer.strip().decode(errors="replace").partition(" ")
    secret = verb.upper() == "AUTH"
    return CommandLine(verb.upper(), argument.partition(" ")[0] if secret else argument)


def as_octets(conversation: Conversation, session: SavedState) -> Octets:
    """Return a conversation for a driver that knows `Pause` and `HangUp`, too.

    `session` goes back to where it stood before each command that a fault refuses.
    """
    answer: object = None
    saved = session.save()
    while True:
        try:
            step = next_step(conversation, answer)
        except StopIteration:
            return
        try:
            if isinstance(step, Answer):
                if _is_refusal(step.reply) and step.reply.command.verb != MESSAGE:
                    session.restore(saved)
                saved = session.save()
                answer = yield from _answer(step)
            else:
                answer = yield step
        except LineTooLong as error:
            answer = error


def _answer(step: Answer) -> Generator[bytes | Need[Any], Any, object]:
    """Send a reply, and return what comes next."""
    reply, then = step.reply, step.then
    if isinstance(then, DeliverMessage):
        return (yield from _deliver(reply, then))
    if isinstance(then, StartSmtpTls) and not _is_refusal(reply) and reply.ending is None:
        # The last octet leaves with the need: before it the client does not begin TLS.
        yield from _send(replace(reply, status=reply.status[:-1]))
        yield reply.status[-1:]
        return (yield then)
    yield from _send(reply)
    refused = Refusal("refused by a fault")
    match then:
        case None:
            return None
        case ReceiveMessage() | ReadResponse() if not reply.status.startswith(b"3"):
            return refused
        case StartSmtpTls() if not reply.status.startswith(b"2"):
            return refused
    return (yield then)


def _deliver(
    reply: ReplyParts, need: DeliverMessage
) -> Generator[bytes | Need[Any], Any, Sequence[DeliveryReply]]:
    """Store a message unless a fault refuses it, and send the reply."""
    outcomes: Sequence[DeliveryReply] = ()
    if not _is_refusal(reply):
        outcomes = yield need
    failure = next((outcome for outcome in outcomes if outcome is not DELIVERED), None)
    if failure is not None:
        reply = ReplyParts(command=reply.command, status=encode_reply(str(failure)))
    yield from _send(reply)
    return outcomes


def _send(reply: ReplyParts) -> Generator[bytes | Need[Any], Any, None]:
    if is_plain(reply):
        yield reply.octets
    else:
        yield from send_reply(reply)


def _is_refusal(reply: ReplyParts) -> bool:
    """Return whether a reply says that nothing was done: RFC 5321 section 4.2.1."""
    return reply.status[:1] in (b"4", b"5")
