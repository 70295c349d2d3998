"""Shown text has no secret in it; parsed replies have all that the server sent."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from restante import check
from restante.client import blocking
from restante.client.credentials import Credentials
from restante.client.mechanisms import CLIENT_MECHANISMS
from restante.misbehave.changes import instead
from restante.protocol.client import operations, sasl
from restante.protocol.client.connection import ServerPeer
from restante.protocol.client.effects import Dialogue, Send
from restante.protocol.client.pipeline import Operation, carry_out, pipeline
from restante.protocol.client.raw_command import raw_command
from restante.protocol.errors import Pop3Error, RemoteError
from support.faulty_server import USER, faulty_server

LONG = "hunter22 & more"
FORMS = (LONG, quote(LONG), "aHVudGVyMjIgJiBtb3Jl")
PARTS = tuple(form[:8] for form in FORMS)  # what stands before a cut
ECHO = " ".join(FORMS).encode()


def test_one_digit_password() -> None:
    """A password of one digit does not spoil the numbers of a check."""
    messages = [b"x" * 19 + b"\r\n"] * 5
    with faulty_server(messages=messages, password="5") as server:
        report = check(server.url, password="5")
    assert report.ok, report.as_json()
    assert not report.warnings


def test_stat_is_read_as_the_server_said_it() -> None:
    """A number in a reply is read, even if it contains the password."""
    peer = ServerPeer()
    peer.secrets.add("5")
    asked = carry_out(peer, operations.stat())
    next(asked)
    asked.send(b"")
    with pytest.raises(StopIteration) as done:
        asked.send(b"+OK 5 105\r\n")
    assert done.value.value == operations.MailboxTotals(5, 105)


def test_pipelined_password() -> None:
    """Commands that are sent ahead are traced, and named by errors, without their secrets."""
    traced: list[str] = []
    peer = ServerPeer(trace=lambda _, line: traced.append(line))
    sent = pipeline(peer, [operations.user("ann"), operations.pass_(LONG)], 4096)
    next(sent)
    sent.send(b"")
    sent.send(b"+OK\r\n")
    with pytest.raises(RemoteError) as caught:
        sent.send(b"")
    assert traced[0] == "USER ann, PASS ***"
    assert "hunter" not in f"{caught.value!r} {vars(caught.value)} {traced}"


@pytest.mark.parametrize("initial", [True, False])
@pytest.mark.parametrize("mechanism", ["PLAIN", "XOAUTH2", "OAUTHBEARER"])
def test_repeated_response_is_hidden(mechanism: str, *, initial: bool) -> None:
    """A server that repeats a response of AUTH, in base64, makes no password or token show."""
    responder = CLIENT_MECHANISMS[mechanism](Credentials("ann", LONG, "mail.example.com", 995))
    shown: list[str] = []
    peer = ServerPeer(trace=lambda _, line: shown.append(line))
    asked = carry_out(peer, sasl.auth(mechanism, responder, initial=initial))
    sent, answer, challenges = b"", None, [] if initial else [b"+ \r\n"]
    with pytest.raises(RemoteError) as caught:
        while True:
            effect = asked.send(answer)
            if isinstance(effect, Send):
                sent, answer = effect.octets, None
            else:
                answer = challenges.pop() if challenges else b"-ERR unknown: " + sent
    response = sent.split()[-1].decode().rstrip("=")
    assert len(response) > 20
    assert response not in f"{caught.value} {caught.value!r} {shown}"
    assert str(caught.value).startswith("refused: unknown: ")


REPEATED = [
    (operations.apop("ann", "0123456789abcdef" * 2), "0123456789abcdef"),
    (raw_command("PASS typed by hand"), "typed"),
    (raw_command("PASS two  blanks\xa0typed "), "blanks"),
    (raw_command("apop ann\t0123456789"), "0123456789"),
    (raw_command("PASS gr\udcfcn-typed"), "n-typed"),
]


@pytest.mark.parametrize(("operation", "part"), REPEATED)
def test_repeated_command_is_hidden(operation: Operation[Any], part: str) -> None:
    """A server that repeats a command with a secret makes no secret show, be it typed by hand."""
    shown: list[str] = []
    asked = carry_out(ServerPeer(trace=lambda _, line: shown.append(line)), operation)
    effect = next(asked)
    assert isinstance(effect, Send)
    asked.send(None)
    try:
        asked.send(b"-ERR what is " + effect.octets)
    except StopIteration as done:
        shown.append(repr(done.value))
    except RemoteError as error:
        shown.append(repr(error))
    assert len(shown) == 3
    assert part not in str(shown)


CUT = b"x" * 90 + b" "  # an error's text ends in the midst of what follows it
REPLIES = {
    "cut": b"+OK " + CUT + ECHO + b"\r\n",
    "cut, neither": CUT + ECHO + b"\r\n",
    "cut, and the end": CUT[20:] + ECHO,
    "a list": b"+OK\r\n1 " + ECHO + b"\r\n2 " + ECHO + b"\r\n.\r\n",
    "a cut list": b"+OK\r\n1 " + CUT[20:] + ECHO + b"\r\n.\r\n",
    "ok": b"+OK " + ECHO + b"\r\n",
    "error": b"-ERR " + ECHO + b"\r\n",
    "neither": ECHO + b"\r\n",
    "two numbers and more": b"+OK 2 89 " + ECHO + b"\r\n",
}
CALLS: dict[str, Callable[[blocking.Maildrop], object]] = {
    "delete": lambda drop: drop.delete(1),
    "undelete": lambda drop: drop.undelete(),
    "header": lambda drop: len(drop[1].header()),
    "read": lambda drop: len(drop[1].read()),
    "by hand": lambda drop: _by_hand(drop, "NOOP"),
    "STAT by hand": lambda drop: _by_hand(drop, "STAT"),
    "commit": lambda drop: drop.commit(),
}


def _by_hand(drop: blocking.Maildrop, line: str) -> str:
    ended: list[Any] = []
    list(drop.raw_command(line, ended))
    return f"{ended[0].line} {ended[0]!r}"


@pytest.mark.filterwarnings("ignore::restante.client.messages.SizeWarning")
@pytest.mark.parametrize("reply", REPLIES)
@pytest.mark.parametrize("verb", ["PASS", "LIST", "UIDL", "DELE", "RSET", "TOP", "RETR", "NOOP",
                                  "STAT", "QUIT"])  # fmt: skip
def test_no_reply_makes_the_password_show(verb: str, reply: str) -> None:
    """In a trace, an error, a status or a report: plain, in base64 and as in a URL."""
    shown: list[str] = []

    def trace(way: str, line: str) -> None:
        shown.append(f"{way} {line}")

    ending = [f"{verb}: close at 100%"] if reply == "cut, and the end" else []
    with faulty_server(*ending, instead(verb, REPLIES[reply]), password=LONG) as server:
        for call in CALLS.values():
            try:
                with blocking.connect(
                    server.url, LONG, trace=trace, reply_seconds=0.1, mechanisms=("USER",)
                ) as drop:
                    shown.append(str(call(drop)))
            except Pop3Error as error:
                shown += [str(error), repr(error), repr(vars(error))]
        report = check(server.url, password=LONG, reply_seconds=0.1)
        shown += [str(report.as_json()), str(report.trace)]
    text = "\n".join(shown)
    assert [part for part in PARTS if part in text] == []


def test_a_long_token_without_a_line_end() -> None:
    """A server that repeats a token and falls silent makes no part of it show."""
    token = "ya29." + "0123456789abcdef" * 15
    with faulty_server(
        instead("PASS", f"-ERR {token}".encode()), "PASS: silence at 100%"
    ) as server:
        report = check(server.url, password=token, reply_seconds=0.1, mechanisms=("USER",))
    assert "no line end" in str(report.as_json())
    assert token[-20:] not in f"{report.as_json()} {report.trace}"


@pytest.mark.parametrize("read", [raw_command("STAT"), raw_command("NOOP")])
def test_a_status_that_is_for_showing_has_no_secret(read: Any) -> None:
    """A reply that may be shown contains no secret."""
    peer = ServerPeer()
    peer.secrets.add(LONG)
    asked: Dialogue[Any] = carry_out(peer, read)
    next(asked)
    asked.send(b"")
    with pytest.raises(StopIteration) as done:
        asked.send(REPLIES["ok"])
    assert done.value.value.line == "+OK *** *** ***"


def test_a_secret_in_octets_that_are_not_utf_8() -> None:
    """One octet that is not UTF-8 makes the whole line Latin-1, and the secret another text."""
    peer = ServerPeer()
    peer.secrets.add("geheim\xe4\xf6")
    assert peer.excerpt("-ERR geheim\xe4\xf6 ".encode() + b"\xff") == "-ERR *** \xff"


@pytest.mark.parametrize(
    "fault", ["LIST: -ERR no", "PASS: close", "AUTH: close", "response: close"]
)
@pytest.mark.parametrize(
    "options",
    [
        {"mechanisms": ("USER",)},
        {"mechanisms": ("PLAIN",)},
        {"mechanisms": ("PLAIN",), "initial_response": True},
        {"mechanisms": ("LOGIN",)},
    ],
)
def test_variables_of_frames(fault: str, options: Any) -> None:
    """Tools that report errors with the variables of each frame find only the one named so."""
    with faulty_server(fault) as server, pytest.raises(RemoteError) as caught:
        blocking.connect(server.url, LONG, **options)
    spelled = (
        LONG,
        *(base64.b64encode(text.encode()).decode() for text in (LONG, f"\0{USER}\0{LONG}")),
    )
    for entry in caught.traceback[1:]:
        for name, value in entry.locals.items():
            shown = repr(value)
            assert name == "password" or not any(text in shown for text in spelled), entry
