"""Sessions of LMTP and SMTP on the core alone, in any pieces."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery.talk import Talk
from delivery.test_dialogues import FOLDER, NAMES
from restante.delivery.protocol.session import (
    MAX_BAD_COMMANDS,
    MAX_COMMANDS,
    MAX_RECIPIENTS,
    Dialect,
)
from restante.delivery.replies import BUSY, FULL
from support import transcript

SESSION = (
    b"LHLO me\r\nMAIL FROM:<bob@example.org>\r\nRCPT TO:<ann@example.com>\r\n"
    b"RCPT TO:<no@example.com>\r\nDATA\r\nSubject: a\r\n\r\n..dot\r\n.\r\n"
    b"MAIL FROM:<>\r\nRCPT TO:<bob@example.com>\r\nDATA\r\n.\r\nNOOP\r\nQUIT\r\n"
)
DELIVERED = [("ann@example.com", b"Subject: a\n\n.dot\n"), ("bob@example.com", b"")]


def begin(talk: Talk, *recipients: str) -> None:
    """Say all that comes before DATA."""
    greeting = "LHLO" if talk.session.dialect is Dialect.LMTP else "EHLO"
    talk.send(f"{greeting} me\r\nMAIL FROM:<bob@example.org>\r\n".encode())
    for recipient in recipients:
        assert talk.send(f"RCPT TO:<{recipient}>\r\n".encode()) == b"250 2.1.5 OK\r\n"


@pytest.mark.parametrize("name", [name for name in NAMES if not name.endswith("_data")])
@pytest.mark.parametrize("size", [1, 2, 7])
def test_dialogue(name: str, size: int) -> None:
    """The core replies as it does over sockets, however the octets come."""
    script = transcript.read(name, FOLDER)
    talk = Talk(Dialect[script.by.upper()])
    said = b"".join(
        octets + b"\r\n" * (kind == "C") for _, kind, octets in script.steps if kind != "S"
    )
    heard = talk.send() + b"".join(
        talk.send(said[place : place + size]) for place in range(0, len(said), size)
    )
    expected = [octets for _, kind, octets in script.steps if kind == "S"]
    assert heard.splitlines() == [octets.replace(b"{host}", b"mx") for octets in expected]
    assert talk.over == any(kind == "closed" for _, kind, _ in script.steps)


@pytest.mark.parametrize(
    "request_line",
    [b"POST / HTTP/1.1", b"GET /%b HTTP/1.1" % (b"a" * 9000), b"CONNECT mx:25 HTTP/1.1"],
    ids=["POST", "long", "CONNECT"],
)
@pytest.mark.parametrize("dialect", Dialect)
def test_http_requests_deliver_nothing(dialect: Dialect, request_line: bytes) -> None:
    """A request by HTTP delivers no message in its body, however few fields it has."""
    talk = Talk(dialect)
    said = SESSION.replace(b"LHLO", b"EHLO" if dialect is Dialect.SMTP else b"LHLO")
    replies = talk.send(request_line + b"\r\nContent-Length: 999\r\n\r\n" + said)
    assert replies.splitlines()[1:] == [b"554 5.5.1 This is a mail server, not a web server"]
    assert (talk.over, talk.delivered) == (True, [])


@given(st.lists(st.integers(0, len(SESSION)), max_size=20))
def test_cut_anywhere(cuts: list[int]) -> None:
    """A session in any pieces gets the same replies, and delivers the same messages."""
    whole = Talk()
    replies = whole.send(SESSION)
    talk = Talk()
    places = [0, *sorted(cuts), len(SESSION)]
    heard = b"".join(talk.send(SESSION[begin:end]) for begin, end in itertools.pairwise(places))
    assert heard == replies
    assert talk.delivered == whole.delivered == DELIVERED
    assert talk.budget.left == 400_000


def test_replies_for_each_recipient() -> None:
    """RFC 2033 section 4.2: LMTP replies for each accepted recipient, in their order."""
    talk = Talk()
    talk.outcomes["bob@example.com"] = BUSY
    begin(talk, "carl@example.com", "bob@example.com", "ann@example.com")
    replies = talk.send(b"DATA\r\nhello\r\n.\r\n").splitlines()
    assert replies == [
        b"354 End data with <CR><LF>.<CR><LF>",
        b"250 2.0.0 delivered",
        b"450 4.2.0 the maildrop is in use, try again later",
        b"250 2.0.0 delivered",
    ]


def test_one_reply_of_smtp() -> None:
    """SMTP accepts a message only if every recipient has it."""
    talk = Talk(Dialect.SMTP)
    talk.outcomes["ann@example.com"] = FULL
    begin(talk, "carl@example.com", "ann@example.com")
    replies = talk.send(b"DATA\r\nhello\r\n.\r\n").splitlines()
    assert replies[1:] == [b"452 4.3.1 the disk is full, try again later"]


def test_hint() -> None:
    """The reply about an unknown recipient ends with the hint of the driver."""
    talk = Talk()
    talk.session.unknown_hint = "; hint"
    begin(talk, "ann@example.com")
    reply = talk.send(b"RCPT TO:<no@example.com>\r\n")
    assert reply == b"550 5.1.1 no such user here; hint\r\n"
    assert talk.send(b"RCPT TO:<\xff>\r\n") == b"553 5.1.3 no address\r\n"


def test_smuggling() -> None:
    """A message cannot hide commands after an end that is not CR LF . CR LF."""
    for end in (b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r\n.\0\r\n"):
        talk = Talk()
        begin(talk, "ann@example.com")
        hidden = b"MAIL FROM:<x@y>\r\nRCPT TO:<bob@example.com>\r\nDATA\r\n"
        talk.send(b"DATA\r\na" + end + hidden + b"smuggled\r\n.\r\n")
        assert [owner for owner, _ in talk.delivered] == ["ann@example.com"], end


def test_recipients() -> None:
    """RFC 5321 section 4.5.3.1.10: a message with too many recipients goes to the first ones."""
    talk = Talk()
    begin(talk, *["ann@example.com"] * MAX_RECIPIENTS)
    assert talk.send(b"RCPT TO:<bob@example.com>\r\n") == b"452 4.5.3 too many recipients\r\n"
    replies = talk.send(b"DATA\r\n.\r\n").splitlines()
    assert len(replies) == 1 + MAX_RECIPIENTS


@pytest.mark.parametrize("last", [b"DATA\r\n", b"x" * 5000 + b"\r\n"], ids=["short", "long"])
def test_bad_commands(last: bytes) -> None:
    """Too many bad commands without a message end the session."""
    talk = Talk()
    talk.send(b"LHLO me\r\n")
    for _ in range(MAX_BAD_COMMANDS - 1):
        assert talk.send(b"RCPT TO:<ann@example.com>\r\n").startswith(b"503 ")
    assert talk.send(last) == b"421 4.7.0 too many bad commands\r\n"
    assert talk.over


def test_message_clears_count() -> None:
    """A message starts the counts of commands anew."""
    talk = Talk()
    for _ in range(3):
        for _ in range(MAX_BAD_COMMANDS // 2):
            talk.send(b"DATA x\r\n")
        begin(talk, "ann@example.com")
        assert talk.send(b"DATA\r\n.\r\n").endswith(b"250 2.0.0 delivered\r\n")
    assert not talk.over


def test_commands() -> None:
    """Commands without end, but without a message, end the session."""
    talk = Talk()
    replies = talk.send(b"NOOP\r\n" * (MAX_COMMANDS + 1)).splitlines()
    assert replies[-1] == b"421 4.7.0 too many commands without a message"
    assert len(replies) == MAX_COMMANDS + 2
    assert talk.over


def test_endless_line() -> None:
    """The server does not wait for the end of a line without one."""
    talk = Talk()
    talk.send(b"NOOP ")
    for _ in range(100):
        if talk.send(b"x" * 1000):
            break
    assert talk.over


@pytest.mark.parametrize("state", [0, 1, 2, 3, 4])
def test_memory_of_lost_client(state: int) -> None:
    """A client that hangs up at any point gives back the memory of its message."""
    talk = Talk()
    begin(talk, "ann@example.com")
    for part in [b"DATA\r\n", b"a" * 1000, b"\r\n.", b"\r\n"][:state]:
        talk.send(part)
    talk.hang_up()
    assert talk.budget.left == 400_000
