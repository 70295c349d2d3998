"""The client's readers, told anything by a server."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable
from typing import Any

from fuzz.target import Target, choices, cut
from restante.client import greeting
from restante.client.credentials import Credentials
from restante.client.login import log_in
from restante.client.mechanisms import CLIENT_MECHANISMS
from restante.client.options import Options
from restante.client.options import Target as Server
from restante.client.session import ClientSession, leave, prepare_login
from restante.protocol.client import connection, operations, sasl
from restante.protocol.client.connection import ServerPeer
from restante.protocol.client.effects import Dialogue, MessageChunk, Peek, Receive
from restante.protocol.client.pipeline import Operation, carry_out, pipeline
from restante.protocol.client.raw_command import raw_command
from restante.protocol.errors import RemoteError, ServerRefusedError
from restante.protocol.unstuffing import DotUnstuffer

LINE = 300  # octets of a line, where 65,536 are allowed
LISTING = 2000  # octets of a list or of a header
FLOOD = 500  # octets beyond twice the promised ones
MAX_LINES = 60
PASSWORD = "correct horse battery staple"

SERVER = Server("mail.example.com", 110, "none", "ann")

Plan = Callable[[ClientSession], Iterable[Dialogue[Any]]]


def _operations(*batch: Operation[Any]) -> Plan:
    return lambda session: [carry_out(session.peer, operation) for operation in batch]


def _whole_session(session: ClientSession) -> Iterable[Dialogue[Any]]:
    yield prepare_login(session)
    yield log_in(session, Credentials("ann", PASSWORD))
    for operation in (
        operations.stat(),
        operations.list_(),
        operations.uidl(),
        operations.retr(1, 20),
    ):
        yield carry_out(session.peer, operation)
    yield leave(session)


def _pipelined(session: ClientSession) -> Iterable[Dialogue[Any]]:
    batch: list[Operation[Any]] = [operations.top(number) for number in range(1, 6)]
    yield pipeline(session.peer, [*batch, operations.dele(1)], 20)


PLANS: tuple[Plan, ...] = (
    _whole_session,
    _pipelined,
    _operations(operations.capa(), operations.stat(), operations.list_(), operations.uidl()),
    _operations(operations.retr(1, 20), operations.retr(2), operations.top(3, 4)),
    _operations(
        raw_command("CAPA"),
        raw_command("RETR 1", LISTING),
        raw_command("LIST 1"),
        raw_command("UIDL"),
    ),
    *(
        lambda session, name=name: [
            carry_out(session.peer, sasl.auth(name, CLIENT_MECHANISMS[name](_credentials())))
        ]
        for name in CLIENT_MECHANISMS
    ),
)


def replies(octets: bytes) -> None:
    """Send replies to the client; the first two octets choose its calls and the pieces."""
    (plan, piece), said = choices(octets, 2)
    shown: list[str] = []
    options = Options(insecure_plaintext=True, trace=lambda _, line: shown.append(line))
    session = ClientSession(SERVER, options)
    session.peer.secrets.add(PASSWORD)
    coming = iter(cut(said, piece))
    try:
        for asked in PLANS[plan % len(PLANS)](session):
            try:
                _run(asked, session.peer, coming)
            except ServerRefusedError as denied:
                shown.append(str(denied))
    except RemoteError as error:
        shown.append(str(error))
    assert PASSWORD not in "".join(shown)


def received(octets: bytes) -> None:
    """Pieces and line ends by two octets, then a message off the wire."""
    (piece, flags), sent = choices(octets, 2)
    first_line, end_of_line, _ = sent.partition(b"\n")
    by_lf = flags & 1 or (end_of_line and not first_line.endswith(b"\r"))
    newline = b"\n" if by_lf else b"\r\n"
    body = DotUnstuffer(bare_lf=bool(flags & 1))
    message, parts = b"", cut(sent, piece)
    while parts and not body.ended:
        message += body.feed(parts.pop(0))
    end = re.search(rb"\n\.\r?\n" if by_lf else rb"\r\n\.\r\n", newline + sent)
    assert body.ended == bool(end)
    if end:
        assert body.rest + b"".join(parts) == (newline + sent)[end.end() :]
        stuffed = (newline + sent)[: end.start()].split(newline)[1:]
        lines = [line.removeprefix(b".") for line in stuffed]
        assert message == b"".join(line + newline for line in lines)
    assert body.octets == len(message)
    assert body.lines == message.count(b"\n")


def proof(octets: bytes) -> None:
    """A mechanism by one octet, then challenges with LF between them; %r is the client's nonce."""
    (place,), rest = choices(octets, 1)
    name = list(CLIENT_MECHANISMS)[place % len(CLIENT_MECHANISMS)]
    responder = CLIENT_MECHANISMS[name](_credentials())
    said = next(responder)
    nonce = (said or b"").rpartition(b"r=")[2]
    quick = re.sub(rb"i=(\d{4})\d{1,4}(?!\d)", rb"i=\1", rest)  # hashing is slow on purpose
    try:
        for challenge in quick.split(b"\n"):
            responder.send(challenge.replace(b"%r", nonce))
    except (StopIteration, ValueError, sasl.SaslRefusal):
        return  # what client_sasl.auth takes for an answer


def _credentials() -> Credentials:
    return Credentials("ann", PASSWORD, "mail.example.com", 995, ("tls-unique", b"data"))


def _run(asked: Generator[Any, bytes, Any], peer: ServerPeer, coming: Iterable[bytes]) -> None:
    """Carry out a dialogue with what comes; at its end the server hangs up."""
    answer: bytes | None = None
    pieces = iter(coming)
    kept = 0
    try:
        while True:
            step = next(asked) if answer is None else asked.send(answer)
            answer = b""
            if isinstance(step, Receive | Peek):
                assert len(peer.unread) <= LINE + kept
                answer = next(pieces, b"")
                kept = len(answer)
            elif isinstance(step, MessageChunk):
                assert step.octets, "a chunk has octets"
    except StopIteration:
        return


SMALL = (
    (connection, "LINE_LIMIT", LINE),
    (connection, "MAX_LINES", MAX_LINES),
    (operations, "LINE_LIMIT", LINE),
    (operations, "LISTING_LIMIT", LISTING),
    (operations, "FLOOD", FLOOD),
    (greeting, "LINE_LIMIT", LINE),
)

TARGETS = {
    "replies": Target(
        "Whatever a server says, the client has a result or a RemoteError, shows no password, and "
        "keeps no more than a line or a list.",
        replies,
        SMALL,
        40_000,
    ),
    "received": Target(
        "A message off the wire is what its sender stuffed, in whatever pieces it comes.",
        received,
        runs=50_000,
    ),
    "proof": Target(
        "Whatever challenges a server sends, a mechanism responds, or says at once why not.",
        proof,
    ),
}
