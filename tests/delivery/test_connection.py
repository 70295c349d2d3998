"""LMTP (RFC 2033) over sockets, as MTAs and raw sockets speak it."""

from __future__ import annotations

import asyncio
import smtplib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import uvloop

from delivery.door import Delivered, Door, Known, Peer, listening
from restante.storage.errors import BusyError, ForbiddenError, FullError, QuotaError, StoreError
from support.live import PATIENCE, wait_until

ANN, BOB, CARL = b"ann@example.com", b"bob@example.com", b"carl@example.com"
LETTER = b"Subject: a\r\n\r\nhello\r\n"
TOP = b"Return-Path: <bob@example.org>\nDelivered-To: %b\n"
STORED = TOP % ANN + b"Subject: a\n\nhello\n"


@pytest.fixture(params=[None, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def door(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Door]:
    with listening(tmp_path, loop_factory=request.param) as door:
        yield door


def stored(door: Door) -> list[tuple[str, bytes]]:
    return sorted(door.store.came)


def test_a_client_of_the_standard_library_delivers(door: Door) -> None:
    """Python's `smtplib.LMTP` delivers a message."""
    with smtplib.LMTP(str(door.file)) as client:
        assert client.sendmail("bob@example.org", ["ann@example.com"], LETTER) == {}
    assert stored(door) == [("ann@example.com", STORED)]


def test_reply_for_each_recipient(door: Door) -> None:
    """Each recipient gets a reply, and an unknown one does not affect the others."""
    with door.connect() as peer:
        peer.begin()
        assert peer.say(b"RCPT TO:<%b>" % ANN) == b"250 2.1.5 OK\r\n"
        assert peer.say(b"RCPT TO:<nobody@example.com>") == b"550 5.1.1 no such user here\r\n"
        assert peer.say(b"RCPT TO:<%b>" % BOB) == b"250 2.1.5 OK\r\n"
        peer.say(b"DATA")
        peer.send(LETTER + b".\r\n")
        assert [peer.reply() for _ in range(2)] == [b"250 2.0.0 delivered\r\n"] * 2
    assert [owner for owner, _ in stored(door)] == ["ann@example.com", "bob@example.com"]


def test_recipient_twice(door: Door) -> None:
    """A recipient that is named twice gets one message, and another address of it one more."""
    with door.connect() as peer:
        peer.begin(ANN, ANN, b"ann+lists@example.com")
        peer.say(b"DATA")
        peer.send(LETTER + b".\r\n")
        assert [peer.reply() for _ in range(3)] == [b"250 2.0.0 delivered\r\n"] * 3
    tops = [TOP % b"ann+lists@example.com", TOP % ANN]
    assert stored(door) == [("ann@example.com", top + b"Subject: a\n\nhello\n") for top in tops]


def test_what_it_can_is_announced(tmp_path: Path) -> None:
    """RFC 2033 section 5; RFC 6152, RFC 1870 and RFC 6531."""
    with listening(tmp_path, message_size=100_000) as door, door.connect() as peer:
        peer.send(b"LHLO me\r\nQUIT\r\n")
        lines = peer.file.read().splitlines()[1:-1]
    assert all(line.startswith(b"250-") for line in lines[1:-1])
    assert {line[4:] for line in lines[1:]} == {
        b"SIZE 100000", b"8BITMIME", b"SMTPUTF8", b"PIPELINING", b"ENHANCEDSTATUSCODES", b"HELP",
    }  # fmt: skip


def test_session_in_one_packet(door: Door) -> None:
    """A whole session in one packet is answered in order."""
    with door.connect() as peer:
        peer.send(
            b"LHLO me\r\nMAIL FROM:<bob@example.org>\r\n"
            b"RCPT TO:<%b>\r\nRCPT TO:<no@example.com>\r\n"
            b"RCPT TO:<%b>\r\nDATA\r\n%b.\r\nMAIL FROM:<>\r\nRCPT TO:<%b>\r\nDATA\r\n.\r\nQUIT\r\n"
            % (ANN, BOB, LETTER, CARL)
        )
        codes = [line[:9] for line in peer.rest().splitlines() if line[3:4] == b" "]
    assert codes == [
        codes[0], b"250 HELP", b"250 2.1.0", b"250 2.1.5", b"550 5.1.1", b"250 2.1.5", b"354 End d",
        b"250 2.0.0", b"250 2.0.0", b"250 2.1.0", b"250 2.1.5", b"354 End d", b"250 2.0.0",
        b"221 2.0.0",
    ]  # fmt: skip
    assert dict(stored(door)) == {
        "ann@example.com": STORED,
        "bob@example.com": TOP % BOB + b"Subject: a\n\nhello\n",
        "carl@example.com": b"Return-Path: <>\nDelivered-To: carl@example.com\n",
    }


def test_half_close_after_message(door: Door) -> None:
    """A message that was sent whole before a half-close is delivered and answered."""
    with door.connect() as peer:
        peer.begin(ANN)
        peer.send(b"DATA\r\n" + LETTER + b".\r\n")
        assert peer.rest().endswith(b"250 2.0.0 delivered\r\n")
    assert stored(door) == [("ann@example.com", STORED)]


@pytest.mark.parametrize("reset", [True, False])
def test_hang_up_within_message(door: Door, reset: bool) -> None:
    """If a client hangs up within a message, nothing is delivered."""
    with door.connect_smtp() as peer:
        peer.reply()
        for line in (b"EHLO me", b"MAIL FROM:<>", b"RCPT TO:<ann@example.com>", b"DATA"):
            peer.say(line)
        peer.send(LETTER + b".\r")
        if reset:
            linger = struct.pack("ii", 1, 0)
            peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    with door.connect() as peer:
        peer.begin(ANN)
        peer.say(b"DATA")
        peer.send(LETTER + b"\r\n.")
        assert peer.rest() == b""
    with door.connect() as peer:  # the door is still open
        peer.begin(BOB)
        peer.say(b"DATA")
        assert peer.say(b".") == b"250 2.0.0 delivered\r\n"
    assert [owner for owner, _ in stored(door)] == ["bob@example.com"]


def fail(error: BaseException) -> Callable[[str, bytes], None]:
    def first(owner: str, _: bytes) -> None:
        if owner == "bob@example.com":
            raise error

    return first


@pytest.mark.parametrize(
    ("error", "reply"),
    [
        (FullError("a message cannot be delivered: the reason"), b"452 4.3.1 "),
        (QuotaError("a message cannot be delivered: the reason"), b"452 4.2.2 "),
        (ForbiddenError("the reason", permanent=True), b"451 4.3.5 "),
        (BusyError("another program holds the maildrop"), b"450 4.2.0 "),
        (StoreError("no folder can be named so", permanent=True), b"451 4.3.0 "),
        (RuntimeError("secret"), b"451 4.3.0 "),
    ],
    ids=repr,
)
def test_failing_maildrop_defers_one(tmp_path: Path, error: Exception, reply: bytes) -> None:
    """known-bug/exception-text: a failing maildrop defers only its recipient, and only the log has
    the reason.
    """
    with listening(tmp_path) as door, door.connect() as peer:
        door.store.first = fail(error)
        peer.begin(ANN, BOB, CARL)
        peer.say(b"DATA")
        assert peer.say(LETTER + b".") == b"250 2.0.0 delivered\r\n"
        told = peer.reply()
        assert told.startswith(reply)
        assert b"reason" not in told
        assert b"secret" not in told
        assert peer.reply() == b"250 2.0.0 delivered\r\n"
        assert peer.say(b"NOOP") == b"250 2.0.0 OK\r\n"
        assert [owner for owner, _ in stored(door)] == ["ann@example.com", "carl@example.com"]
        door.wait_for_log("event=not_delivered via=lmtp user=bob@example.com", str(error))


def test_too_big_message_rejected(tmp_path: Path) -> None:
    """A message that is too big is rejected for each recipient."""
    with listening(tmp_path, message_size=100_000) as door, door.connect() as peer:
        peer.begin(ANN, BOB)
        peer.say(b"DATA")
        peer.send(b"x" * 70_000 + b"\r\n" + b"y" * 30_000 + b"\r\n.\r\n")
        assert peer.reply() == b"552 5.3.4 the message is too big\r\n"
        assert peer.reply() == b"552 5.3.4 the message is too big\r\n"
        assert peer.say(b"MAIL FROM:<> SIZE=100001").startswith(b"552 5.3.4 ")
        assert peer.say(b"MAIL FROM:<> SIZE=100000").startswith(b"250 ")
        peer.say(b"RCPT TO:<%b>" % ANN)
        peer.say(b"DATA")
        assert peer.say(b"x" * 99_990 + b"\r\n.") == b"250 2.0.0 delivered\r\n"
        assert len(stored(door)) == 1
        door.wait_for_log("event=not_taken sender=bob@example.org recipient=ann@example.com")


def test_more_mail_than_memory_is_meant_for_waits(tmp_path: Path) -> None:
    """Four messages of the greatest size may be under way at once; a fifth comes again later."""
    with listening(tmp_path, message_size=100_000) as door:
        others = [door.connect() for _ in range(4)]
        for peer in others:
            peer.begin(ANN)
            peer.say(b"DATA")
            peer.send(b"x" * 99_000 + b"\r\n")
        wait_until(lambda: all_read(others))
        with door.connect() as peer:
            peer.begin(ANN)
            peer.say(b"DATA")
            peer.send(b"x" * 50_000 + b"\r\n.\r\n")
            assert peer.reply().startswith(b"452 4.3.1 too much mail at once")
            others[0].close()
            others[1].send(b".\r\n")
            assert others[1].reply() == b"250 2.0.0 delivered\r\n"
            peer.say(b"MAIL FROM:<>")
            peer.say(b"RCPT TO:<%b>" % BOB)
            peer.say(b"DATA")
            assert peer.say(b"x" * 50_000 + b"\r\n.") == b"250 2.0.0 delivered\r\n"
        for peer in others[1:]:
            peer.close()


def all_read(peers: list[Peer]) -> bool:
    """Tell whether the server has read all that these sent; SIOCOUTQ, as unix(7) has it."""
    import fcntl
    import termios

    left = [fcntl.ioctl(peer.socket, termios.TIOCOUTQ, b"\0" * 4) for peer in peers]
    return not any(struct.unpack("i", octets)[0] for octets in left)


def test_a_line_may_be_as_long_as_a_message(door: Door) -> None:
    """A line of a megabyte is delivered unchanged."""
    with door.connect() as peer:
        peer.begin(ANN)
        peer.say(b"DATA")
        long = b"." + b"x" * 1_000_000 + b"\r" * 70_000
        assert peer.say(b"." + long + b"\r\n.") == b"250 2.0.0 delivered\r\n"
    assert stored(door) == [("ann@example.com", TOP % ANN + long + b"\r\n")]


def test_ten_deliver_at_once(door: Door) -> None:
    """Ten clients deliver at once, and no message is lost."""

    def deliver(number: int) -> list[bytes]:
        with door.connect() as peer:
            peer.begin(ANN, BOB)
            peer.say(b"DATA")
            peer.send(b"Subject: %d\r\n\r\n.\r\n" % number)
            return [peer.reply(), peer.reply()]

    with ThreadPoolExecutor(10) as threads:
        replies = list(threads.map(deliver, range(10)))
    assert replies == [[b"250 2.0.0 delivered\r\n"] * 2] * 10
    assert stored(door) == sorted(
        (name.decode(), TOP % name + b"Subject: %d\n\n" % number)
        for number in range(10)
        for name in (ANN, BOB)
    )


class Slow(Delivered):
    """A store whose deliveries wait until they may go on."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.first = self.wait

    async def wait(self, *_: object) -> None:
        self.begun.set()
        assert await asyncio.to_thread(self.go_on.wait, PATIENCE)


def test_a_stop_lets_a_delivery_finish_and_says_so(tmp_path: Path) -> None:
    """A stop lets a delivery finish, and other clients get 421."""
    store = Slow()
    with listening(tmp_path, store) as door:
        with door.connect() as busy, door.connect() as idle, door.connect() as sending:
            busy.begin(ANN)
            busy.say(b"DATA")
            busy.send(LETTER + b".\r\n")
            sending.begin(BOB)
            sending.say(b"DATA")
            sending.send(LETTER)
            idle.reply()
            assert store.begun.wait(PATIENCE)
            door.stop()
            goodbye = b"421 4.3.2 the server is stopping, come back later\r\n"
            assert idle.file.read() == goodbye
            assert sending.file.read() == goodbye
            store.go_on.set()
            assert busy.file.read() == b"250 2.0.0 delivered\r\n" + goodbye
    assert store.came == [("ann@example.com", STORED)]


def test_stop_with_a_stuck_peer(tmp_path: Path) -> None:
    """A stop does not wait for a peer that reads nothing."""
    with listening(tmp_path) as door, door.connect() as peer:
        peer.begin(ANN)
        peer.socket.setblocking(False)
        with pytest.raises(BlockingIOError):
            while True:
                peer.socket.send(b"NOOP\r\n" * 1000)
        door.stop()


def test_a_delivery_goes_on_when_the_peer_hangs_up(tmp_path: Path) -> None:
    """A delivery is finished although the client hung up."""
    store = Slow()
    with listening(tmp_path, store) as door:
        with door.connect() as peer:
            peer.begin(ANN)
            peer.say(b"DATA")
            peer.send(LETTER + b".\r\n")
            assert store.begun.wait(PATIENCE)
        store.go_on.set()
        door.wait_for_log("event=delivered via=lmtp user=ann@example.com")
    assert store.came == [("ann@example.com", STORED)]


@pytest.mark.parametrize("loop", [None, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_one_connection_too_many_is_told_to_come_back(
    tmp_path: Path, loop: Callable[[], asyncio.AbstractEventLoop] | None
) -> None:
    """A connection over the limit gets 421, and its place is free again later."""
    with (
        listening(tmp_path, loop_factory=loop, connections=1) as door,
        door.connect() as first,
    ):
        assert first.reply().startswith(b"220 ")
        with door.connect() as second:
            assert second.file.read() == b"421 4.3.2 too many connections, come back later\r\n"
        assert first.say(b"QUIT").startswith(b"221 ")
        first.file.read()
        wait_until(lambda: greeted(door))


def greeted(door: Door) -> bool:
    with door.connect() as peer:
        return peer.reply().startswith(b"220 ")


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        (b"HELO me", b"500 5.5.2 "),
        (b"EHLO me", b"500 5.5.2 "),
        (b"MAIL FROM:<a@b>", b"503 5.5.1 Error: send LHLO first"),
        (b"DATA", b"503 5.5.1 Error: send LHLO first"),
        (b"AUTH PLAIN AGFubgBwYXNz", b"502 5.5.1 Error: AUTH is not implemented; no login is"),
        (b"STARTTLS", b"454 4.7.0 "),
        (b"VRFY <ann@example.com>", b"252 2.5.0 "),
        (b"EXPN all", b"502 5.5.1 "),
        (b"FOO\rBAR\x1b[31m", b'500 5.5.2 Error: command "FOO?BAR?[31M" not recognized'),
        (b"\xff\xfe", b"500 5.5.2 "),
        (b"", b"500 5.5.2 "),
        (b"NOOP" + b"x" * 60_000, b"500 5.5.2 "),
    ],
)
def test_unknown_commands_have_status(tmp_path: Path, line: bytes, reply: bytes) -> None:
    """RFC 2034: unsuitable commands are rejected, and each reply has a status."""
    with listening(tmp_path) as door, door.connect() as peer:
        peer.reply()
        assert peer.say(line).startswith(reply)
        assert peer.say(b"NOOP") == b"250 2.0.0 OK\r\n"


@pytest.mark.parametrize(
    ("path", "reply"),
    [
        (b"<ann@example.com>", b"250 2.1.5 "),
        (b" <ann@example.com>", b"250 2.1.5 "),
        (b"<@relay.example:ann@example.com>", b"250 2.1.5 "),
        (b'<"ann"@example.com>', b"250 2.1.5 "),
        (b"<ANN+lists@Example.COM>", b"250 2.1.5 "),
        (b"<", b"553 5.1.3 "),
        (b"<>", b"550 5.1.1 "),
        (b"ann@example.com", b"553 5.1.3 "),
        (b"<ann@example.com", b"553 5.1.3 "),
        (b"<ann@example.com>x", b"553 5.1.3 "),
        (b"<ann@example.com> FOO=bar", b"555 5.5.4 "),
        (b"<ann\0@example.com>", b"553 5.1.3 "),
        (b"<ann\r@example.com>", b"553 5.1.3 "),
        (b"<ann\xff@example.com>", b"553 5.1.3 "),
        (b"<../ann@example.com>", b"550 5.1.1 "),
        ("<grün@example.com>".encode(), b"550 5.1.1 "),
        (b"<" + b"(" * 1500 + b">", b"550 5.1.1 "),
        (b"<" + b"x" * 3000 + b">", b"500 5.5.2 "),
    ],
    ids=repr,
)
def test_a_recipient_is_an_address_in_brackets(tmp_path: Path, path: bytes, reply: bytes) -> None:
    """A recipient is an address in brackets; every other form gets an error."""
    with listening(tmp_path) as door, door.connect() as peer:
        peer.begin()
        assert peer.say(b"RCPT TO:" + path).startswith(reply)
    assert "event=incident" not in door.log.getvalue()


@pytest.mark.parametrize(
    ("path", "reply", "line"),
    [
        (b"<>", b"250 ", b"Return-Path: <>\n"),
        ("<ü@example.org> SMTPUTF8".encode(), b"250 ", "Return-Path: <ü@example.org>\n".encode()),
        (b"<bob@example.org> BODY=8BITMIME SIZE=10", b"250 ", b"Return-Path: <bob@example.org>\n"),
        (b'<"bob smith"@example.org>', b"250 ", b'Return-Path: <"bob smith"@example.org>\n'),
        (b"<bob\r@example.org>", b"553 5.1.3 ", b""),
        (b"<bob\x1b@example.org>", b"553 5.1.3 ", b""),
    ],
)  # fmt: skip
def test_a_sender_is_written_on_top(tmp_path: Path, path: bytes, reply: bytes, line: bytes) -> None:
    """The sender is written in a Return-Path line at the top of the message."""
    with listening(tmp_path) as door, door.connect() as peer:
        peer.reply()
        peer.say(b"LHLO me")
        assert peer.say(b"MAIL FROM:" + path).startswith(reply)
        if line:
            peer.say(b"RCPT TO:<%b>" % ANN)
            peer.say(b"DATA")
            peer.say(b".")
            assert stored(door)[0][1].startswith(line)


def test_long_sender_after_hellos(tmp_path: Path) -> None:
    """A long sender is accepted after many EHLOs: each session has its own limit of a command's
    length.
    """
    sender = b"x" * 600
    with listening(tmp_path) as door, door.connect() as peer:
        peer.begin()
        peer.say(b"RSET")
        with door.connect() as other:
            other.begin()
        assert peer.say(b"MAIL FROM:<%b>" % sender).startswith(b"250 ")


def test_thousand_recipients(tmp_path: Path) -> None:
    """RFC 5321 section 4.5.3.1.10: of too many recipients, the first thousand get the message."""
    with listening(tmp_path) as door, door.connect() as peer:
        peer.begin()
        peer.send(b"RCPT TO:<ann@example.com>\r\n" * 1001)
        replies = [peer.reply() for _ in range(1001)]
        assert set(replies[:1000]) == {b"250 2.1.5 OK\r\n"}
        assert replies[1000].startswith(b"452 4.5.3 ")


def test_delivery_log(tmp_path: Path) -> None:
    """The log has a line for each delivery and no text of the mail."""
    with listening(tmp_path) as door, door.connect() as peer:
        peer.begin(ANN, b"nobody@example.com")
        peer.say(b"DATA")
        peer.say(LETTER + b".")
        door.wait_for_log(
            "level=info event=delivered via=lmtp user=ann@example.com recipient=ann@example.com "
            "sender=bob@example.org octets=18 seconds=",
            "level=info event=not_taken sender=bob@example.org recipient=nobody@example.com "
            'reply="550 5.1.1 no such user here"',
        )
        assert "hello" not in door.log.getvalue()


def test_a_received_line_is_written_on_demand(tmp_path: Path) -> None:
    """If the configuration says so, a Received line is added."""
    with listening(tmp_path, received=True) as door, door.connect() as peer:
        peer.begin(ANN)
        peer.say(b"DATA")
        peer.say(LETTER + b".")
        lines = stored(door)[0][1].split(b"\n")
        assert lines[2] == b"Received: from me (local)"
        assert b"with LMTP;" in lines[3]


def test_mail_that_goes_in_a_circle_is_refused(tmp_path: Path) -> None:
    """A message in a loop is rejected for that recipient only."""
    with listening(tmp_path) as door, door.connect() as peer:
        peer.begin(ANN, BOB)
        peer.say(b"DATA")
        peer.send(b"Received: x\r\nDelivered-To: ann@example.com\r\n\r\n.\r\n")
        assert peer.reply().startswith(b"554 5.4.6 ")
        assert peer.reply().startswith(b"250 2.0.0 ")


class Outcome(BaseException):
    """A BaseException alone, as the error of `pytest.fail` in a store of a test."""


@pytest.mark.parametrize("error", [Outcome("a detail"), asyncio.CancelledError("a detail")])
def test_store_base_exception(door: Door, error: BaseException) -> None:
    """A BaseException of the store is an incident, and the session continues."""

    def fail(owner: str, message: bytes) -> None:
        raise error

    door.store.first = fail
    with door.connect() as peer:
        peer.begin(ANN)
        peer.say(b"DATA")
        peer.send(LETTER + b".\r\n")
        assert peer.reply().startswith(b"451 4.3.0 ")
        assert peer.say(b"NOOP").startswith(b"250 ")
    door.wait_for_log("event=incident", "a detail")
    assert door.store.came == []


@pytest.mark.parametrize("error", [Outcome("a detail"), asyncio.CancelledError("a detail")])
def test_recipients_base_exception(
    door: Door, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    """A BaseException of the recipients is an incident, too."""

    async def owner(self: Known, name: str) -> None:
        raise error

    monkeypatch.setattr(Known, "owner", owner)
    with door.connect() as peer:
        peer.begin()
        assert peer.say(b"RCPT TO:<%b>" % ANN).startswith(b"451 4.3.0 ")
        assert peer.say(b"NOOP").startswith(b"250 ")
    door.wait_for_log("event=incident", "a detail")
