"""The client's commands, a function each: what to send, and how to read the answer.

An operation knows no state and no socket: `dialogue.carry_out` runs one, `dialogue.pipelined` many.
All readers raise Denied where the server says -ERR, and Lost or BadReply where it breaks off or
talks nonsense.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Generator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NoReturn, TypeAlias, TypeVar

from restante.protocol.dialogue import (
    LINE_LIMIT,
    LISTING_LIMIT,
    Chunk,
    Glance,
    Operation,
    Peer,
    Receive,
    Send,
    Status,
    computed,
)
from restante.protocol.errors import LocalError
from restante.protocol.failures import (
    BadReply,
    Denied,
    Insecure,
    MechanismRefused,
    RemoteError,
    Truncated,
)
from restante.protocol.received import ReceivedBody

if TYPE_CHECKING:
    from collections.abc import Callable

    from restante.protocol.dialogue import Dialogue

COMMAND_LIMIT = 255  # octets of a command, line end included: RFC 2449 section 4
MOST_DIGITS = 18  # of a number in a reply: what fits 64 bits
FLOOD = 16 * 1024 * 1024  # octets beyond twice the promised ones that no wrong count explains
LINGER = 0.05  # seconds in which what comes behind a message's end is on its way
ENDLESS = 1 << 40  # octets of a message of which nothing is promised

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Totals:
    """STAT: so many messages, of so many octets together."""

    messages: int
    octets: int


@dataclass(frozen=True, slots=True)
class Received:
    """How a message came to its end."""

    octets: int  # as LIST counts them
    behind: bytes  # what came behind the terminator, where nothing was asked for: it was no end
    lines: int


def command(verb: str, *fields: str) -> bytes:
    """Return a command's line. Raises LocalError: a field would break out of it, or it is too long.

    A line end in a name or password would begin a command of its own.
    """
    for field in fields:
        if any(c in field for c in "\r\n\0"):
            raise LocalError(f"a line end or NUL in what follows {verb}: nothing was sent")
    line = " ".join((verb, *fields)).encode() + b"\r\n"
    if len(line) > COMMAND_LIMIT and verb != "AUTH":
        raise LocalError(f"{verb} with {len(line)} octets: a line holds {COMMAND_LIMIT}")
    return line


def _status(verb: str, *fields: str, shown: bytes | None = None) -> Operation[Status]:
    return Operation(command(verb, *fields), Peer.ok, shown)


def greeting(peer: Peer) -> Dialogue[Status]:
    """Read the greeting. RFC 1939 section 4."""
    return peer.ok()


def capa() -> Operation[dict[str, str]]:
    """CAPA: each tag in upper case, with what follows it. RFC 2449 section 5."""

    def read(peer: Peer) -> Dialogue[dict[str, str]]:
        yield from peer.ok()
        lines = yield from peer.listing(LINE_LIMIT)
        pairs = (line.strip().partition(" ") for line in lines if line.strip())
        return {tag.upper(): argument.strip() for tag, _, argument in pairs}

    return Operation(command("CAPA"), read)


def stls() -> Operation[Status]:
    """STLS: TLS may begin behind its +OK. RFC 2595 section 4."""
    return _status("STLS")


def utf8() -> Operation[Status]:
    """UTF8. RFC 6856 section 2."""
    return _status("UTF8")


def lang(tag: str) -> Operation[Status]:
    """LANG with a tag. RFC 6856 section 3."""
    return _status("LANG", tag)


def user(name: str) -> Operation[Status]:
    """USER. RFC 1939 section 7."""
    return _status("USER", name)


def pass_(password: str) -> Operation[Status]:
    """PASS, whose password no trace shows. RFC 1939 section 7."""
    return _status("PASS", password, shown=b"PASS ***\r\n")


def apop(name: str, digest: str) -> Operation[Status]:
    """APOP. RFC 1939 section 7."""
    return _status("APOP", name, digest, shown=f"APOP {name} ***\r\n".encode())


def noop() -> Operation[Status]:
    """NOOP. RFC 1939 section 5."""
    return _status("NOOP")


def rset() -> Operation[Status]:
    """RSET: nothing is marked any more. RFC 1939 section 5."""
    return _status("RSET")


def dele(number: int) -> Operation[Status]:
    """DELE: the message is marked, and removed by QUIT. RFC 1939 section 5."""
    return _status("DELE", str(number))


def quit_() -> Operation[Status]:
    """QUIT: what is marked is removed. RFC 1939 section 6."""
    return _status("QUIT")


def stat() -> Operation[Totals]:
    """STAT. RFC 1939 section 5."""

    def read(peer: Peer) -> Dialogue[Totals]:
        status = yield from peer.ok()
        found = re.match(rf"(\d{{1,{MOST_DIGITS}}})\s+(\d{{1,{MOST_DIGITS}}})(?!\d)", status.text)
        if not found or not found[0].isascii():
            said = peer.excerpt(status.line.encode())
            raise peer.fail(BadReply, "bad-reply", f'no two numbers: "{said}"')
        return Totals(int(found[1]), int(found[2]))

    return Operation(command("STAT"), read)


def list_() -> Operation[dict[int, int]]:
    """LIST: the octets of each message by its number. RFC 1939 section 5."""
    return _table("LIST", lambda text: int(_digits(text.split()[0])))


def uidl() -> Operation[dict[int, str]]:
    """UIDL: the unique-id of each message by its number. RFC 1939 section 7."""
    return _table("UIDL", lambda text: text)


def _table(verb: str, value: Callable[[str], T]) -> Operation[dict[int, T]]:
    def read(peer: Peer) -> Dialogue[dict[int, T]]:
        yield from peer.ok()
        table = {}
        for line in (yield from peer.listing()):
            number, _, rest = line.strip().partition(" ")
            try:
                table[int(_digits(number))] = value(rest.strip())
            except (ValueError, IndexError):
                text = f'{verb} has the line "{peer.excerpt(line.encode())}"'
                raise peer.fail(BadReply, "bad-reply", text) from None
        return table

    return Operation(command(verb), read)


def _digits(text: str) -> str:
    if not (text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS):
        raise ValueError("no number")
    return text


def top(number: int, lines: int = 0, keep: int = LISTING_LIMIT) -> Operation[bytes]:
    """TOP: the header and so many lines of the body. RFC 1939 section 7.

    Returns the first `keep` octets at most. Raises BadReply: more came than a list may have.
    """

    def read(peer: Peer) -> Dialogue[bytes]:
        yield from peer.ok()
        body = ReceivedBody(bare_lf=peer.bare_lf)
        kept = bytearray()
        while not body.ended:
            piece = yield from piece_of(peer, body, LISTING_LIMIT)
            kept += piece[: keep - len(kept)]
        return bytes(kept)

    return Operation(command("TOP", str(number), str(lines)), read)


def retr(number: int, promised: int | None = None) -> Operation[Received]:
    """RETR: the message as chunks, and how it ended. RFC 1939 section 5.

    `promised` is the size by LIST: a message that goes on far beyond it is taken for endless, and
    behind one that is shorter or longer there may be more, so that is waited for a moment.
    Raises Truncated too: the connection ended before the message did.
    """

    def read(peer: Peer) -> Dialogue[Received]:
        yield from peer.ok()
        body = ReceivedBody(bare_lf=peer.bare_lf)
        while not body.ended:
            piece = yield from piece_of(peer, body, flood_limit(promised))
            if piece:
                yield Chunk(piece)
        if body.octets != promised and not peer.outstanding and not peer.inbox:
            peer.inbox += yield Glance(LINGER)
        behind = b"" if peer.outstanding else bytes(peer.inbox)
        peer.note("<", f"({body.octets} octets)")
        return Received(body.octets, behind, body.lines)

    return Operation(command("RETR", str(number)), read)


def flood_limit(promised: int | None) -> int:
    """Return how many octets may come for a message of which LIST promised so many."""
    return ENDLESS if promised is None else 2 * promised + FLOOD


def piece_of(peer: Peer, body: ReceivedBody, most: int) -> Dialogue[bytes]:
    """Return the next octets of a message; there may be none as yet. Raises Truncated, BadReply."""
    octets = bytes(peer.inbox)
    peer.inbox.clear()
    if not octets:
        octets = yield Receive()
        if not octets:
            text = f"the connection ended after {body.octets} octets, before the end of the message"
            raise peer.fail(Truncated, "msg-truncated", text)
    piece = body.feed(octets)
    if body.ended:
        peer.inbox += body.rest
    if body.octets > most:
        raise peer.fail(BadReply, "bad-reply", f"{body.octets} octets have come, and no end")
    return piece


Responder: TypeAlias = Generator[bytes | None, bytes, None]
"""A mechanism's side of the client: yields responses, the first one None where the server begins.

It raises ValueError where the server is not who it should be, and SaslRefusal where the server
refuses within the mechanism; it is sent b"" where +OK came, which is no proof to a mechanism
that wants one.
"""


class SaslRefusal(Exception):  # noqa: N818  # it is an answer rather than an error
    """The server refuses by the mechanism's own means, such as "e=" of SCRAM (RFC 5802)."""


def auth(mechanism: str, responder: Responder, *, initial: bool = False) -> Operation[Status]:
    """AUTH. RFC 5034 section 4; with `initial` the first response goes along with the command.

    Its reader raises Insecure too: the server did not prove itself, so nothing more is sent to it.
    It raises MechanismRefused in place of Denied where no response was sent.
    """
    first = next(responder)
    request, shown = command("AUTH", mechanism), f"AUTH {mechanism}\r\n"
    if initial and first is not None:
        response = _base64(first) or b"="
        request = request[:-2] + b" " + response + b"\r\n"
        shown, first = f"AUTH {mechanism} ***\r\n", None

    def read(peer: Peer) -> Dialogue[Status]:
        held, refused = first, MechanismRefused if shown == f"AUTH {mechanism}\r\n" else Denied
        while (challenge := (yield from _challenge(peer))) is not None:
            try:
                response = held
                if response is None:
                    response = yield from computed(partial(_respond, responder, challenge))
            except SaslRefusal as said:
                yield from _refused_within(peer, str(said))
            except ValueError as doubt:
                yield Send(b"*\r\n")  # and no wait for an answer, which it might never give
                raise peer.fail(Insecure, "auth-unproven", str(doubt)) from None
            if response is None:
                yield from _give_up(peer)
            held, refused = None, Denied
            yield Send(_base64(response or b"") + b"\r\n")
            peer.note(">", "***")
        status = yield from peer.status()
        if not status.ok:
            raise peer.fail(refused, "refused", status.text, status.code)
        _conclude(peer, responder)
        return status

    return Operation(request, read, shown.encode())


def _respond(responder: Responder, challenge: bytes) -> bytes | None:
    """Return the response to a challenge, None where the mechanism has no more of them."""
    try:
        return responder.send(challenge) or b""
    except StopIteration:
        return None


def _give_up(peer: Peer) -> Dialogue[NoReturn]:
    yield from peer.send(b"*\r\n")
    yield from peer.status()
    text = "given up: more challenges than the mechanism has"
    raise peer.fail(Denied, "auth-failed", text)


def _refused_within(peer: Peer, said: str) -> Dialogue[NoReturn]:
    """Hear the -ERR behind a refusal by the mechanism; the server may also hang up or fall silent.

    Raises Denied, in any of the three cases. Raises Insecure: the server says +OK all the same.
    """
    text, code, others = said, "", []
    try:
        yield Send(b"\r\n")
        status = yield from peer.status()
    except RemoteError as end:
        others = [end.text]
    else:
        if status.ok:
            unproven = f"the server said +OK behind its own refusal: {said}"
            raise peer.fail(Insecure, "auth-unproven", unproven)
        text, code = f"{status.text} ({said})".strip(), status.code
    denied = peer.fail(Denied, "refused", text, code)
    denied.others += others
    raise denied


def _conclude(peer: Peer, responder: Responder) -> None:
    """Tell a mechanism that the server is done. Raises Insecure: its proof is missing."""
    try:
        responder.send(b"")
    except StopIteration:
        return
    except ValueError as doubt:
        raise peer.fail(Insecure, "auth-unproven", str(doubt)) from None


def _challenge(peer: Peer) -> Dialogue[bytes | None]:
    """Return the next challenge, None where the status line comes instead."""
    line = yield from peer.line(peek=True)
    if not line.startswith(b"+") or line[:3].upper() == b"+OK":
        return None
    yield from peer.line()
    peer.note("<", "+ ***")
    try:
        return binascii.a2b_base64(line[1:].strip())
    except binascii.Error:
        raise peer.fail(BadReply, "bad-reply", "a challenge that is no base64") from None


def _base64(octets: bytes) -> bytes:
    return binascii.b2a_base64(octets, newline=False)
