"""A session in parts, and the way back to octets and pauses."""

from __future__ import annotations

from typing import Any

import pytest

from restante.misbehave import FAULTS, Fault, find
from restante.misbehave.changes import first_session
from restante.misbehave.conversation import SILENCE, Answer, add, alter, as_octets, in_parts
from restante.misbehave.effects import HangUp, Pause
from restante.misbehave.fault import sum_of
from restante.protocol.server.maildrop import MessageList
from restante.protocol.server.needs import (
    Authenticate,
    LockMaildrop,
    NewTimestamp,
    OpenMessage,
    ReadLine,
    SendPart,
    StartServerTls,
)
from restante.protocol.server.serve import serve
from restante.protocol.server.session import EndReason, Session
from restante.protocol.server.settings import ConnectionSecurity, Identity, ProtocolSettings

IN_CLEAR = ConnectionSecurity(can_start_tls=True)


def steps(fault: str, *lines: str) -> list[Any]:
    """Return what a faulty server does for some lines; TLS always begins."""
    session = Session(settings=ProtocolSettings(greeting="Hello."), channel=IN_CLEAR)
    conversation = as_octets(find(fault).conversation(in_parts(serve(session))))
    found: list[Any] = []
    waiting = [f"{line}\r\n".encode() for line in lines]
    answer: Any = None
    while True:
        try:
            step = conversation.send(answer)
        except StopIteration as ended:
            return [*found, ended.value]
        found.append(step[0] if isinstance(step, tuple) else step)
        answer = ConnectionSecurity(tls=True) if isinstance(step, StartServerTls) else None
        if isinstance(step, tuple):
            if not waiting:
                return found
            answer = waiting.pop(0)


@pytest.mark.parametrize(
    ("fault", "lines", "expected"),
    [
        ("NOOP: close", [], [b"+OK Hello.\r\n"]),
        ("greeting: close", [], [HangUp(), b""]),
        ("greeting: reset at 4", [], [SendPart(b"+OK "), HangUp(reset=True), b""]),
        ("greeting: cut", [], [HangUp(notify=False), b""]),
        ("greeting: silence", [], [Pause(SILENCE), HangUp(), b""]),
        (
            "greeting: chunks 7",
            [],
            [SendPart(b"+OK Hel"), Pause(0), SendPart(b"lo.\r\n"), Pause(0), b""],
        ),
        ("greeting: wait 50ms", [], [Pause(0.05), SendPart(b"+OK Hello.\r\n"), b""]),
        (
            "greeting: rate 60/s",
            [],
            [SendPart(b"+OK He"), Pause(0.1), SendPart(b"llo.\r\n"), Pause(0.1), b""],
        ),
        (
            "QUIT: wait 1s",
            ["QUIT"],
            [
                b"+OK Hello.\r\n",
                Pause(1.0),
                SendPart(b"+OK Logging out.\r\n"),
                (b"", EndReason.QUIT),
            ],
        ),
    ],
)
def test_manner_of_sending(fault: str, lines: list[str], expected: list[Any]) -> None:
    """A manner of sending becomes parts, pauses and an end. Other replies stay as they are."""
    assert steps(fault, *lines) == expected


def test_tls_that_begins() -> None:
    """STLS stays one need of the server, with what a fault adds to its reply."""
    assert StartServerTls(b"+OK go\r\n") in steps("STLS: +OK go", "STLS", "NOOP")


def test_tls_that_does_not_begin() -> None:
    """If a fault keeps TLS from beginning, the session goes on in clear text, and answers once."""
    said = steps("stls-garbage", "STLS", "NOOP")
    assert said[1:3] == [SendPart(b"+OK Begin TLS now.\r\n"), b""]
    assert said[3].startswith(b"-ERR Log in first")


def test_refused_tls() -> None:
    """If a rule refuses STLS, the server does not get it."""
    said = steps("STLS: -ERR no", "STLS", "NOOP")
    assert said[1] == b"-ERR no\r\n"
    assert said[2].startswith(b"-ERR Log in first")


def test_a_sum_is_composed() -> None:
    """The last of several faults is next to the server, so the first one sees what it did."""
    first = find("greeting: without end").conversation
    seen: list[bytes] = []

    def look(conversation: Any) -> Any:
        def note(reply: Any) -> Any:
            seen.append(reply.status)
            return reply

        return alter(conversation, reply=note)

    changed = find("greeting: +OK changed").conversation
    session = Session(channel=IN_CLEAR)
    step = next(add(first, look, changed)(in_parts(serve(session))))
    assert isinstance(step, Answer)
    assert isinstance(step.then, ReadLine)
    assert seen == [b"+OK changed\r\n"]


def test_secrets_are_not_in_commands() -> None:
    """A fault sees which command a reply answers, but no password."""
    arguments: list[str] = []

    def note(reply: Any) -> Any:
        arguments.append(f"{reply.command.verb} {reply.command.argument}".strip())
        return reply

    conversation = alter(in_parts(serve(Session(channel=IN_CLEAR))), reply=note)
    conversation.send(None)
    for line in (b"USER joe\r\n", b"AUTH PLAIN\r\n", b"AGpvZQBzZWNyZXQ=\r\n"):
        conversation.send(line)
    conversation.close()
    assert arguments == ["GREETING", "USER joe", "AUTH PLAIN"]


LINES = (
    "CAPA", "", "AUTH", "AUTH PLAIN", "=", "USER joe", "PASS secret", "STAT", "LIST", "UIDL",
    "LIST 1", "UIDL 2", "RETR 1", "TOP 2 0", "DELE 1", "LIST", "UTF8", "NOOP", "RSET", "x", "QUIT",
)  # fmt: skip
MESSAGE = b"Subject: a\r\n\r\n.\r\nb\r\n"
ODD = (
    "list-garbage", "status-lowercase", "retr-no-message",
)  # fmt: skip


def fulfil(need: Any) -> Any:
    """Return what a session needs, of two messages; any password is right."""
    match need:
        case Authenticate():
            return Identity(need.user)
        case LockMaildrop():
            return MessageList((20, 20), ("a", "b"))
        case OpenMessage():
            return MESSAGE
    return None


def talk(fault: Fault) -> None:
    """Have a whole session with a fault; whatever it answers, the lines go on."""
    conversation = fault.conversation(in_parts(serve(Session(channel=IN_CLEAR))))
    lines = iter(LINES)
    answer: Any = None
    while True:
        try:
            step = conversation.send(answer)
            if not isinstance(step, Answer):
                answer = fulfil(step)
                continue
            line = next(lines)
        except StopIteration:
            return
        answer = f"{line}\r\n".encode()


@pytest.mark.parametrize("odd", ODD)
def test_every_fault_adds_to_every_other(odd: str) -> None:
    """A fault copes with replies that another fault has changed, in each order."""
    light = [fault for name, fault in FAULTS.items() if not name.endswith(("-endless", "-20mb"))]
    for fault in light:
        talk(sum_of([fault, FAULTS[odd]]))
        talk(sum_of([FAULTS[odd], fault]))


@pytest.mark.parametrize(("session", "refused"), [(0, True), (1, False)])
def test_first_session(session: int, refused: bool) -> None:
    """A fault of the first session shows there alone, also at a server with APOP."""
    settings = ProtocolSettings(apop=True)
    inner = in_parts(serve(Session(settings=settings, channel=IN_CLEAR)), session)
    conversation = first_session(find("USER: -ERR no").conversation)(inner)
    assert isinstance(conversation.send(None), NewTimestamp)
    conversation.send("<1@example.com>")
    step = conversation.send(b"USER joe\r\n")
    assert isinstance(step, Answer)
    assert step.reply.ok is not refused
