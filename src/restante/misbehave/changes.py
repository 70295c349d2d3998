"""Changes of one reply, from which the catalogue makes its faults."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

from restante.misbehave.conversation import Answer, alter, continue_from, next_step
from restante.misbehave.rules import Place, on, refuse_at, say

if TYPE_CHECKING:
    from restante.misbehave.conversation import Alteration, Change, Conversation, ReplyParts

Text: TypeAlias = bytes | Callable[["ReplyParts"], bytes]


def status(verb: str, text: Text) -> Alteration:
    """Return a fault that answers a command with another status line, given without its end.

    What it refuses with octets has no effect, as with a rule.
    """
    if isinstance(text, bytes) and text.startswith(b"-ERR"):
        return refuse_at(Place(verb), text + b"\r\n")
    return on(verb, lambda reply: say(reply, _evaluate(text, reply) + b"\r\n"))


def body(verb: str, change: Callable[[bytes], bytes]) -> Alteration:
    """Return a fault that changes the body of a multi-line reply."""

    def change_body(reply: ReplyParts) -> ReplyParts:
        return replace(reply, body=change(reply.body)) if reply.multiline else reply

    return on(verb, change_body)


def lines(verb: str, change: Callable[[list[bytes]], list[bytes]]) -> Alteration:
    """Return a fault that changes the lines of a body, which are given without their ends."""

    def change_lines(octets: bytes) -> bytes:
        body_lines = octets.split(b"\r\n")[:-1]
        return b"".join(line + b"\r\n" for line in change(body_lines))

    return body(verb, change_lines)


def each_line(verb: str, change: Callable[[bytes], bytes]) -> Alteration:
    """Return a fault that changes each line of a body."""
    return lines(verb, lambda body_lines: [change(line) for line in body_lines])


def both_forms(verb: str, change: Callable[[bytes, bytes], bytes]) -> Alteration:
    """Return a fault of LIST or UIDL that changes a number and its value, in every form."""

    def change_line(line: bytes) -> bytes:
        number, _, value = line.partition(b" ")
        return change(number, value)

    def change_reply(reply: ReplyParts) -> ReplyParts:
        if reply.multiline:
            body_lines = [change_line(line) for line in reply.body.split(b"\r\n")[:-1]]
            return replace(reply, body=b"".join(line + b"\r\n" for line in body_lines))
        if reply.ok and reply.command.number is not None:
            return say(reply, b"+OK " + change_line(reply.status[4:].rstrip()) + b"\r\n")
        return reply

    return on(verb, change_reply)


def after(verb: str, octets: bytes) -> Alteration:
    """Return a fault that sends more after a reply."""
    return on(verb, lambda reply: replace(reply, end=reply.end + octets))


def each_part(change: Callable[[bytes], bytes]) -> Alteration:
    """Return a fault that changes every part of every reply."""

    def change_parts(reply: ReplyParts) -> ReplyParts:
        parts = change(reply.status), change(reply.body), change(reply.end)
        return replace(reply, status=parts[0], body=parts[1], end=parts[2])

    return on("*", change_parts)


def instead(verb: str, octets: Text) -> Alteration:
    """Return a fault that sends these octets for a whole reply."""

    def change(reply: ReplyParts) -> ReplyParts:
        return replace(reply, status=_evaluate(octets, reply), body=b"", end=b"")

    return on(verb, change)


def foreign(greeting: bytes, answer: bytes) -> Alteration:
    """Return a server of another protocol: its greeting, and its answer to every line."""

    def change(reply: ReplyParts) -> ReplyParts:
        line = greeting if reply.command.verb == "GREETING" else answer
        return say(reply, line + b"\r\n")

    return on("*", change)


def challenge(change: Callable[[bytes], bytes]) -> Alteration:
    """Return a fault that changes what the server says in AUTH, decoded."""

    def change_reply(reply: ReplyParts) -> ReplyParts:
        if not reply.status.startswith(b"+ "):
            return reply
        try:
            message = binascii.a2b_base64(reply.status[2:].strip(), strict_mode=True)
        except binascii.Error:
            return reply
        return replace(reply, status=b"+ " + base64.b64encode(change(message)) + b"\r\n")

    return on("*", change_reply)


def in_auth(change: Change) -> Alteration:
    """Return a fault that changes the lines with which the server goes on in AUTH."""
    return on("*", lambda reply: change(reply) if reply.status.startswith(b"+ ") else reply)


def alter_line(change: Callable[[bytes], bytes]) -> Alteration:
    """Return a fault that changes the lines of the client before the server reads them."""

    def apply(conversation: Conversation) -> Conversation:
        return alter(conversation, line=change)

    return apply


def first_session(change: Alteration) -> Alteration:
    """Return a fault that only the first session of a server has."""
    return in_sessions(change, lambda number: number == 0)


def later_sessions(change: Alteration) -> Alteration:
    """Return a fault that every session but the first one has."""
    return in_sessions(change, lambda number: number > 0)


def in_sessions(change: Alteration, fits: Callable[[int], bool]) -> Alteration:
    """Return a fault of sessions by their number, from 0. Their greetings stay as they are."""

    def apply(conversation: Conversation) -> Conversation:
        step = conversation.send(None)
        while not isinstance(step, Answer):
            step = next_step(conversation, (yield step))
        resumed = continue_from(conversation, step)
        return (yield from change(resumed) if fits(step.reply.session) else resumed)

    return apply


@lru_cache(8)
def repeat(line: bytes, times: int) -> bytes:
    """Return a line many times. Connections share the octets."""
    return line * times


@lru_cache(8)
def number_lines(times: int, value: bytes) -> bytes:
    """Return the lines of a list with many messages. Values that end with "-" get the number."""
    has_number = value.endswith(b"-")
    numbers = range(1, times + 1)
    return b"".join(b"%d %s%s\r\n" % (n, value, b"%d" % n if has_number else b"") for n in numbers)


def _evaluate(text: Text, reply: ReplyParts) -> bytes:
    return text(reply) if callable(text) else text
