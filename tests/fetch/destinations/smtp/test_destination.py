"""SMTP and LMTP as destinations, with servers of all kinds."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fetch.destinations.contract import *  # noqa: F403
from fetch.destinations.contract import LETTER, OTHER, deliver, opened, prepare, source, write
from fetch.destinations.smtp_double import CLOSE, DRIP, FLOOD, HANG, SmtpDouble, smtp_double
from restante.fetch.destinations.smtp.accepted_recipients import KEPT, AcceptedRecipients
from restante.fetch.destinations.smtp.address import parse_smtp_url
from restante.fetch.destinations.smtp.destination import SmtpDestination
from restante.fetch.destinations.smtp.login import Login
from restante.fetch.destinations.smtp.session import SmtpDeadlines
from restante.fetch.interfaces import (
    DeliveryInDoubtError,
    Destination,
    DestinationUnavailableError,
    MessageRefusedError,
    NotDeliveredError,
    Settled,
)
from restante.protocol.errors import Phase, RemoteError
from support.live import PATIENCE, wait_until
from support.small_disks import fill, small_disk

LARGE = LETTER + b"x\r\n" * 5_000_000
FAST = 1_000_000_000  # octets a second, so that a message has no time of its own


def deadlines_for(answer: bytes, **seconds: float) -> SmtpDeadlines:
    """Return the deadlines for an answer: these few seconds if it never ends, else the usual."""
    return SmtpDeadlines(**(seconds if answer in (HANG, DRIP) else {}))  # type: ignore[arg-type]


class SmtpPlace:
    """A double of a server."""

    exact = False

    def __init__(self, double: SmtpDouble, state: Path) -> None:
        self.double = double
        self.state = state
        self.made: list[SmtpDestination] = []

    def destination(
        self,
        settings: str = "rcpt=ann@example.com",
        login: Login | None = None,
        deadlines: SmtpDeadlines | None = None,
        *,
        hold: bool = False,
        envelope: str = "",
        addresses: dict[str, str] | None = None,
    ) -> SmtpDestination:
        scheme = "lmtp:" if self.double.lmtp else "smtp://"
        url = f"{scheme}127.0.0.1:{self.double.port}?{settings}"
        address = replace(parse_smtp_url(url, envelope, addresses), hold=hold)
        made = SmtpDestination(url, address, str(self.state), login, deadlines)
        self.made.append(made)
        return made

    def close(self) -> None:
        for destination in self.made:
            destination.close()

    def messages(self) -> list[bytes]:
        return [each.octets.partition(b"\r\n")[2] for each in self.double.received]

    def remove_all(self) -> None:
        self.double.received.clear()

    def carries(self, message: bytes) -> bool:
        return message.endswith(b"\r\n")


@pytest.fixture(params=["smtp", "lmtp"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SmtpPlace]:
    with (
        smtp_double(lmtp=request.param == "lmtp") as double,
        contextlib.closing(SmtpPlace(double, tmp_path)) as place,
    ):
        yield place


@pytest.fixture
def lmtp(tmp_path: Path) -> Iterator[SmtpPlace]:
    with smtp_double(lmtp=True) as double, contextlib.closing(SmtpPlace(double, tmp_path)) as place:
        yield place


@pytest.fixture
def smtp(tmp_path: Path) -> Iterator[SmtpPlace]:
    with smtp_double() as double, contextlib.closing(SmtpPlace(double, tmp_path)) as place:
        yield place


def test_no_quit_before_the_journal(place: SmtpPlace) -> None:
    """A delivery ends with the reply to the final dot; one session serves several messages."""
    destination = opened(place)
    deliver(destination, LETTER, OTHER)
    assert b"QUIT" not in place.double.verbs
    destination.close()
    assert place.double.verbs.count(b"QUIT") == 1
    assert place.double.sessions == 1


def test_trace_field(place: SmtpPlace) -> None:
    """A message begins with the field by which Sieve drops a double."""
    destination = opened(place)
    deliver(destination, LETTER)
    destination.close()
    [received] = place.double.received
    trace, _, rest = received.octets.partition(b"\r\n")
    assert trace.startswith(b"X-Restante-Fetch: %b-" % source(0).fetch_id.encode())
    assert rest == LETTER


def _goes_on(place: SmtpPlace, destination: Destination) -> None:
    """Deliver another message, by a new session, to a server without faults."""
    place.double.answers.clear()
    deliver(destination, OTHER)
    destination.close()
    assert place.messages() == [OTHER]


def _only(place: SmtpPlace, destination: SmtpDestination, message: bytes = LETTER) -> None:
    """Deliver one message, and disconnect."""
    destination.open()
    try:
        draft = write(destination, message, 0)
        destination.prepare([draft])
        destination.deliver(draft)
    finally:
        destination.close()


@pytest.mark.parametrize(
    ("header", "sender"),
    [
        (b"Return-Path: <bob@example.org>\r\n", b"<bob@example.org>"),
        (b"Return-Path: bob@example.org\r\n", b"<bob@example.org>"),
        (b"Return-Path: <bob@example.org> (added by mx)\r\n", b"<bob@example.org>"),
        (b"Return-Path: <a@example.org>\r\nReturn-Path: <b@example.org>\r\n", b"<a@example.org>"),
        (b"Return-Path: <>\r\n", b"<>"),
        (b"Return-Path: <bob>\r\n", b"<>"),
        (b"Return-Path: <bob@example.org> SIZE=1\r\n", b"<bob@example.org>"),
        (b"Return-Path: bob@example.org SIZE=1\r\n", b"<>"),
        (b"Return-Path: <bob@ex\rample.org>\r\n", b"<>"),
        (b"Return-Path: <\xff@example.org>\r\n", b"<>"),
        (b"Return-Path: <%b@example.org>\r\n" % (b"b" * 400), b"<>"),
        (b"From: bob@example.org\r\n", b"<>"),
    ],
)
def test_envelope_sender(place: SmtpPlace, header: bytes, sender: bytes) -> None:
    """The sender is that of Return-Path; where that has no usable address, it is empty."""
    _only(place, place.destination(), header + b"Subject: a\r\n\r\nhello\r\n")
    [mail] = [line for line in place.double.lines if line.startswith(b"MAIL")]
    assert mail.split()[1] == b"FROM:" + sender


def test_sender_setting(place: SmtpPlace) -> None:
    """A sender in the URL replaces that of the message, for servers that require their own."""
    _only(place, place.destination("rcpt=ann@example.com&sender=me@example.com"))
    assert place.double.received[0].mail.startswith(b"MAIL FROM:<me@example.com>")


@pytest.mark.parametrize(
    ("features", "message", "parameters"),
    [
        ([], LETTER, b""),
        ([b"SIZE 1000"], LETTER, b" SIZE=%d" % (61 + len(LETTER))),
        ([b"SIZE"], LETTER, b" SIZE=%d" % (61 + len(LETTER))),
        ([b"SIZE " + b"9" * 5000], LETTER, b" SIZE=%d" % (61 + len(LETTER))),
        ([b"8BITMIME"], LETTER, b""),
        ([b"8BITMIME"], LETTER + b"\xe9\r\n", b" BODY=8BITMIME"),
        ([b"SMTPUTF8"], LETTER + b"\xe9\r\n", b""),
    ],
)
def test_parameters(
    place: SmtpPlace, features: list[bytes], message: bytes, parameters: bytes
) -> None:
    """Only parameters that the server offers, and the message requires, are sent."""
    place.double.features = features
    _only(place, place.destination(), message)
    assert place.double.received[0].mail == b"MAIL FROM:<>" + parameters


UTF8 = "Return-Path: <jörg@example.org>\r\n".encode()


def test_smtputf8(place: SmtpPlace) -> None:
    """Addresses beyond ASCII go to a server with SMTPUTF8."""
    _only(place, place.destination("rcpt=änn@example.com"), UTF8 + LETTER)
    [received] = place.double.received
    assert received.mail.startswith("MAIL FROM:<jörg@example.org>".encode())
    assert received.mail.endswith(b" SMTPUTF8")
    assert received.recipients == ["änn@example.com".encode()]


def test_no_smtputf8(place: SmtpPlace) -> None:
    """Without SMTPUTF8 such a sender is left out, and such a recipient rejected."""
    place.double.features = []
    _only(place, place.destination(), UTF8 + LETTER)
    assert place.double.received[0].mail == b"MAIL FROM:<>"
    with pytest.raises(MessageRefusedError, match="SMTPUTF8"):
        _only(place, place.destination("rcpt=änn@example.com"), LETTER)


def test_too_large(place: SmtpPlace) -> None:
    """A message beyond the server's SIZE is rejected before it is sent; smaller ones follow."""
    place.double.features = [b"SIZE 1000"]
    destination = opened(place)
    with pytest.raises(MessageRefusedError, match=r"has 1131 octets, and .* accepts at most 1000"):
        deliver(destination, LETTER + b"x" * 1024 + b"\r\n")
    assert b"MAIL" not in place.double.verbs
    deliver(destination, LETTER)
    destination.close()
    assert place.messages() == [LETTER]


@pytest.mark.parametrize("verb", [b"MAIL", b"RCPT", b"DATA", b"END"])
@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (b"550 5.1.1 no", MessageRefusedError),
        (b"554-first line\r\n554 second line", MessageRefusedError),
        (b"450 4.2.0 later", NotDeliveredError),
        (b"421 4.3.2 shutting down", NotDeliveredError),
        (b"530 5.7.0 authenticate first", NotDeliveredError),
        (b"552 5.2.2 mailbox full", NotDeliveredError),
    ],
)
def test_refusals(place: SmtpPlace, verb: bytes, reply: bytes, error: type[Exception]) -> None:
    """The server's reply decides whether the message or the destination has the fault.

    No such reply leaves a doubt, and the next message goes through.
    """
    destination = opened(place)
    place.double.answers[verb] = reply
    with pytest.raises(error) as caught:
        deliver(destination, LETTER)
    assert type(caught.value) is error
    assert reply.split(b"\r\n")[-1][4:].decode() in str(caught.value)
    assert place.messages() == []
    _goes_on(place, destination)


@pytest.mark.parametrize(
    ("verb", "reply"),
    [
        (b"MAIL", b"530 5.7.0 Must issue a STARTTLS command first"),
        (b"MAIL", b"523 5.7.10 Not without protection"),
        (b"RCPT", b"550 5.7.1 TLS required"),
        (b"DATA", b"554 Encryption is required"),
        (b"END", b"554 5.7.1 Message rejected: TLS required"),
    ],
)
def test_a_server_that_requires_tls(smtp: SmtpPlace, verb: bytes, reply: bytes) -> None:
    """A server that requires TLS does not park mail, and the error says what to add."""
    destination = opened(smtp)
    smtp.double.answers[verb] = reply
    with pytest.raises(NotDeliveredError, match="requires TLS: add tls=yes to the URL"):
        deliver(destination, LETTER)


@pytest.mark.parametrize("verb", [b"MAIL", b"RCPT", b"DATA"])
@pytest.mark.parametrize("end", [CLOSE, HANG, DRIP, FLOOD, b"what", b"x" * 100_000])
def test_lost_before_the_dot(place: SmtpPlace, verb: bytes, end: bytes) -> None:
    """A session that ends before the final dot has delivered nothing, and is replaced."""
    deadlines = deadlines_for(end, reply=0.5, commands=0.6, slowest=FAST)
    destination = place.destination(deadlines=deadlines)
    destination.open()
    place.double.answers[verb] = end
    with pytest.raises(NotDeliveredError):
        deliver(destination, LETTER)
    _goes_on(place, destination)


def test_closed_before_the_message(place: SmtpPlace) -> None:
    """A server that closes the connection before the final dot leaves no doubt."""
    destination = place.destination()

    def wait_for_the_end(_: str, line: str) -> None:
        if line.startswith("354"):
            assert place.double.ended.wait(PATIENCE)

    destination.trace = wait_for_the_end
    destination.open()
    place.double.answers[b"BODY"] = CLOSE
    with pytest.raises(NotDeliveredError, match="closed the connection within the message"):
        deliver(destination, LETTER)
    _goes_on(place, destination)


def test_causes_beside_the_message(smtp: SmtpPlace) -> None:
    """A lost session, or one that cannot be replaced, is not the fault of the message."""
    tokens = iter(["first"])

    def token() -> str:
        for found in tokens:
            return found
        raise RemoteError("oauth-unreachable", "no answer", phase=Phase.LOGIN)

    smtp.double.features.append(b"AUTH XOAUTH2")
    smtp.double.auth = lambda _: b"235 2.7.0 welcome"
    url = f"smtp://ann@127.0.0.1:{smtp.double.port}?rcpt=ann@example.com"
    login = Login(token=token)
    destination = SmtpDestination(url, parse_smtp_url(url), str(smtp.state), login)
    smtp.made.append(destination)
    destination.open()
    smtp.double.answers[b"RCPT"] = b"450 4.2.0 full"
    assert _failure(destination) == (False, "450 4.2.0 full")
    smtp.double.answers[b"RCPT"] = b"421 4.3.2 restart"
    assert _failure(destination) == (True, "421 4.3.2 restart")
    assert _failure(destination) == (True, "no answer")


def _failure(destination: SmtpDestination) -> tuple[bool, str]:
    with pytest.raises(NotDeliveredError) as caught:
        deliver(destination, LETTER)
    return caught.value.general, str(caught.value).rpartition(": ")[2]


@pytest.mark.parametrize("end", [CLOSE, HANG, DRIP, FLOOD, b"what"])
def test_lost_behind_the_dot(place: SmtpPlace, end: bytes) -> None:
    """A session that ends after the final dot leaves a doubt, and is replaced."""
    destination = place.destination(deadlines=deadlines_for(end, final=0.3))
    destination.open()
    place.double.answers[b"END"] = end
    with pytest.raises(DeliveryInDoubtError, match="may have delivered"):
        deliver(destination, LETTER)
    _goes_on(place, destination)


@pytest.mark.parametrize("verb", [b"MAIL", b"RCPT", b"DATA"])
def test_time_of_one_command(place: SmtpPlace, verb: bytes) -> None:
    """A server that does not reply to a command gets its time, and not that of all commands."""
    destination = place.destination(deadlines=SmtpDeadlines(reply=0.3))
    destination.open()
    place.double.answers[verb] = HANG
    began = time.monotonic()
    with pytest.raises(NotDeliveredError, match="did not answer in time"):
        deliver(destination, LETTER)
    assert time.monotonic() - began < PATIENCE
    _goes_on(place, destination)


@pytest.mark.parametrize("verb", [b"MAIL", b"RCPT", b"DATA"])
def test_a_reply_that_no_command_expects(place: SmtpPlace, verb: bytes) -> None:
    """Another kind of reply before the message delivers nothing, and the session is replaced."""
    destination = opened(place)
    place.double.answers[verb] = b"334 what"
    with pytest.raises(NotDeliveredError, match="334 what"):
        deliver(destination, LETTER)
    _goes_on(place, destination)


LONG = 4096 - len(b"\r\n")  # octets of a reply after which the next read begins


@pytest.mark.parametrize("first", [b"354 go on", b"354 ".ljust(LONG, b"x")])
def test_a_reply_before_the_message(place: SmtpPlace, first: bytes) -> None:
    """A reply that comes before the message does not count as the reply to it."""
    destination = place.destination()
    destination.open()
    place.double.answers |= {b"DATA": first + b"\r\n250 ok", b"END": b"452 full"}
    with pytest.raises(NotDeliveredError, match="before the message"):
        deliver(destination, LETTER)
    _goes_on(place, destination)


@pytest.mark.parametrize("first", [b"250 ok", b"250 ".ljust(LONG, b"x")])
def test_a_reply_before_a_command(place: SmtpPlace, first: bytes) -> None:
    """A reply that comes before its command parks no message, and the session is replaced."""
    destination = place.destination()
    destination.open()
    place.double.answers[b"RCPT"] = first + b"\r\n550 unknown user"
    with pytest.raises(NotDeliveredError, match="before DATA"):
        deliver(destination, LETTER)
    _goes_on(place, destination)


@pytest.mark.parametrize(
    "replies", [b"250 ok\r\n554 not stored", b"354 go on", b"354 go\r\n250 ok"]
)
def test_contradicting_replies(place: SmtpPlace, replies: bytes) -> None:
    """If a server accepts and rejects a message, or does neither, its delivery is in doubt."""
    place.double.answers[b"END"] = replies
    with pytest.raises(DeliveryInDoubtError, match="may have delivered"):
        _only(place, place.destination(), LETTER)


def test_an_end_after_the_acceptance(place: SmtpPlace) -> None:
    """A server may end the session with its reply to a message."""
    place.double.answers[b"END"] = b"250 ok\r\n421 4.7.0 enough for today"
    _only(place, place.destination(), LETTER)
    wait_until(lambda: place.messages() == [LETTER])


def test_a_reply_too_many(place: SmtpPlace) -> None:
    """A session with more replies than messages is replaced, so that each reply finds its own."""
    destination = opened(place)
    place.double.answers[b"END"] = b"250 ok\r\n250 ok"
    deliver(destination, LETTER, OTHER)
    destination.close()
    wait_until(lambda: sorted(place.messages()) == [LETTER, OTHER])
    assert place.double.sessions == 2


def test_idle_session(place: SmtpPlace) -> None:
    """A session that the server ended meanwhile is replaced without a word."""
    for ending in (CLOSE, b"421 4.4.2 idle"):
        destination = opened(place)
        place.double.answers[b"MAIL"] = _once(ending, place.double)
        deliver(destination, LETTER)
        destination.close()
    assert place.messages() == [LETTER, LETTER]


def test_idle_session_without_another(place: SmtpPlace) -> None:
    """If no session follows one that the server ended, nothing was delivered."""
    destination = opened(place)

    def hang_up(_: bytes) -> bytes:
        place.double.answers = {b"GREETING": b"421 busy"}
        return CLOSE

    place.double.answers[b"MAIL"] = hang_up
    with pytest.raises(NotDeliveredError, match="421 busy") as caught:
        deliver(destination, LETTER)
    assert caught.value.general
    destination.close()


def _once(answer: bytes, double: SmtpDouble) -> Callable[[bytes], bytes]:
    def say(_: bytes) -> bytes:
        double.answers.clear()
        return answer

    return say


def test_early_refusal(smtp: SmtpPlace) -> None:
    """A server that rejects and hangs up in the middle of a message is understood."""
    smtp.double.answers[b"DATA"] = b"354 go on\r\n552 5.3.4 too big"
    smtp.double.answers[b"BODY"] = CLOSE
    with pytest.raises((MessageRefusedError, DestinationUnavailableError)) as caught:
        _only(smtp, smtp.destination(), LARGE)
    assert not isinstance(caught.value, DeliveryInDoubtError)


def test_replies_in_the_middle_of_a_message(place: SmtpPlace) -> None:
    """A reply that comes before the final dot is a refusal, or delivers nothing."""
    long = LETTER + b"x\r\n" * 5_000_000  # more than the buffers of a connection hold
    for reply, error in (
        (b"552 5.3.4 too big", MessageRefusedError),
        (b"250 ok", NotDeliveredError),
    ):
        destination = opened(place)
        place.double.answers[b"BODY"] = reply
        with pytest.raises(error, match=r"too big|before the end of the message"):
            deliver(destination, long)
        place.double.answers.clear()
        deliver(destination, OTHER)
        destination.close()
    assert place.messages() == [OTHER, OTHER]


def test_a_server_that_reads_nothing(place: SmtpPlace) -> None:
    """A server that accepts no octets of a message is left, and nothing is in doubt."""
    place.double.answers[b"BODY"] = HANG
    with pytest.raises(DestinationUnavailableError, match="did not answer in time") as caught:
        _only(place, place.destination(deadlines=SmtpDeadlines(stall=0.3, quit=0.3)), LARGE)
    assert not isinstance(caught.value, DeliveryInDoubtError)


@pytest.mark.parametrize("verb", [b"GREETING", b"EHLO", b"LHLO"])
@pytest.mark.parametrize("answer", [CLOSE, HANG, DRIP, FLOOD, b"554 no", b"421 busy", b"what"])
def test_no_session(place: SmtpPlace, verb: bytes, answer: bytes) -> None:
    """A server that accepts no session is unavailable, whatever it says."""
    place.double.answers = {b"HELO": b"502 no", verb: answer}
    if (verb == b"LHLO") != place.double.lmtp and verb != b"GREETING":
        destination = place.destination()
        destination.open()
    else:
        destination = place.destination(deadlines=deadlines_for(answer, open=0.3))
        with pytest.raises(DestinationUnavailableError, match=f"127.0.0.1:{place.double.port}"):
            destination.open()
    destination.close()


def test_helo(smtp: SmtpPlace) -> None:
    """A server without EHLO is asked by HELO."""
    smtp.double.answers[b"EHLO"] = b"500 what"
    _only(smtp, smtp.destination())
    assert smtp.double.received[0].mail == b"MAIL FROM:<>"


@pytest.mark.parametrize("answer", [HANG, DRIP, FLOOD])
def test_a_slow_quit(place: SmtpPlace, answer: bytes) -> None:
    """A server that does not answer QUIT delays nothing."""
    place.double.answers[b"QUIT"] = answer
    _only(place, place.destination(deadlines=SmtpDeadlines(quit=0.3)))
    assert place.messages() == [LETTER]


def test_settle_says_there_is_a_doubt(place: SmtpPlace) -> None:
    """No server knows what it has, so the message comes again, or is held."""
    destination = opened(place)
    [token] = prepare(destination, LETTER)[1]
    assert destination.settle(token) is Settled.UNKNOWN
    destination.close()
    destination = place.destination(hold=True)
    with pytest.raises(MessageRefusedError, match=f"X-Restante-Fetch: {token}"):
        destination.settle(token)


SOME = "rcpt=ann@example.com&rcpt=bob@example.com&rcpt=carl@example.com"


def test_all_or_none_before_the_dot(place: SmtpPlace) -> None:
    """Where one of several recipients is rejected before the message, none gets it."""
    destination = place.destination(SOME)
    destination.open()
    for reply, error in (
        (b"550 no", MessageRefusedError),
        (b"450 no", DestinationUnavailableError),
    ):
        place.double.answers[b"RCPT"] = _to_bob(reply)
        with pytest.raises(error, match="bob"):
            deliver(destination, LETTER)
    destination.close()
    assert b"DATA" not in place.double.verbs
    assert place.messages() == []


def _to_bob(reply: bytes) -> Callable[[bytes], bytes]:
    return lambda line: reply if b"bob" in line else b"250 ok"


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (b"452 full", DestinationUnavailableError),
        (b"550 no", MessageRefusedError),
        (CLOSE, DeliveryInDoubtError),
    ],
)
def test_some_accept(lmtp: SmtpPlace, reply: bytes, error: type[Exception]) -> None:
    """Where some recipients accept a message, the next run sends it only to the others."""
    lmtp.double.answers[b"END"] = _to_bob(reply)
    with pytest.raises(error):
        _only(lmtp, lmtp.destination(SOME))
    lmtp.double.answers.clear()
    _only(lmtp, lmtp.destination(SOME))
    got = [recipient for each in lmtp.double.received for recipient in each.recipients]
    lost_replies = [b"ann@example.com"] if reply == CLOSE else []  # the double counts a message
    assert sorted(got + lost_replies) == [
        b"ann@example.com",
        b"bob@example.com",
        b"carl@example.com",
    ]
    _only(lmtp, lmtp.destination(SOME))
    assert len(lmtp.double.received[-1].recipients) == 3


def test_other_mail_after_some_accepted(lmtp: SmtpPlace) -> None:
    """If a server gives the unique-id to another message, all recipients get that one."""
    lmtp.double.answers[b"END"] = _to_bob(b"452 full")
    with pytest.raises(DestinationUnavailableError):
        _only(lmtp, lmtp.destination(SOME))
    lmtp.double.answers.clear()
    for other in (b"Message-ID: <2@x>\r\n" + LETTER, b"X: of another size\r\n" + LETTER):
        _only(lmtp, lmtp.destination(SOME), other)
        assert len(lmtp.double.received[-1].recipients) == 3
    ids = {each.octets.partition(b"\r\n")[0] for each in lmtp.double.received}
    assert len(ids) == 3


def test_the_worst_reason(lmtp: SmtpPlace) -> None:
    """A message that one recipient rejects for now, and another for good, is tried again."""
    lmtp.double.answers[b"END"] = lambda recipient: (
        b"550 no" if b"ann" in recipient else b"452 full"
    )
    with pytest.raises(DestinationUnavailableError, match="452 full"):
        _only(lmtp, lmtp.destination(SOME))


def test_multidrop(place: SmtpPlace) -> None:
    """The address in the named field decides where a message goes; an unknown one goes to rcpt."""
    destination = place.destination(
        "rcpt=post@example.com",
        envelope="X-Original-To",
        addresses={"Ann@example.org": "ann@local", "@example.net": "@inside.example"},
    )
    destination.open()
    for address in (b"<ann@EXAMPLE.org>", b"Bob@example.net", b"carl@example.org", b"nothing"):
        deliver(destination, b"X-Original-To: " + address + b"\r\nTo: ann@example.org\r\n\r\n")
    deliver(destination, b"To: ann@example.org\r\n\r\n")
    destination.close()
    post = [b"post@example.com"]
    got = [received.recipients for received in place.double.received]
    assert got == [[b"ann@local"], [b"Bob@inside.example"], post, post, post]


def test_disk_is_full(place: SmtpPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A draft that cannot be read is never sent half."""
    destination = opened(place)
    draft = write(destination, LETTER, 0)
    monkeypatch.setattr(draft, "chunks", _unreadable)
    with pytest.raises(DestinationUnavailableError, match="broken disk"):
        destination.deliver(draft)
    deliver(destination, OTHER)
    destination.close()
    assert place.messages() == [OTHER]


def _unreadable() -> Iterator[bytes]:
    yield b"Subject: half\r\n"
    raise DestinationUnavailableError("broken disk")


def test_old_notes_of_recipients(tmp_path: Path) -> None:
    """The notes of a message's recipients are removed when nothing asks for them any more."""
    accepted = AcceptedRecipients(str(tmp_path), "lmtp:here")
    accepted.add("id", ["ann@example.com"])
    written = next(tmp_path.iterdir()).stat().st_mtime
    accepted.remove_old(written + KEPT)
    assert accepted.find("id") == {"ann@example.com"}
    accepted.remove_old(written + KEPT + 1)
    assert list(tmp_path.iterdir()) == []


def test_notes_on_a_full_disk(tmp_path: Path) -> None:
    """A note that cannot be written leaves what was noted before, and no other file."""
    with small_disk(tmp_path / "disk") as disk:
        accepted = AcceptedRecipients(str(disk / "notes"), "lmtp:here")
        accepted.add("id", ["ann@example.com"])
        fill(disk)
        with pytest.raises(DestinationUnavailableError, match="No space left"):
            accepted.add("id", ["bob@example.com"])
        assert accepted.find("id") == {"ann@example.com"}
        assert len(list((disk / "notes").iterdir())) == 1
