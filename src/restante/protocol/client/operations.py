"""The client's commands, a function each: what to send, and how to read the answer.

An operation knows no state and no socket: `pipeline.carry_out` runs one, `pipeline.pipeline` many.
All readers raise ServerRefusedError for -ERR, ConnectionLostError if the connection ends, and
MalformedReplyError if the reply is not POP3.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from restante.protocol.client.connection import LINE_LIMIT, LISTING_LIMIT, LineBlocks, ServerPeer
from restante.protocol.client.effects import (
    END_OF_REPLY,
    REST_OF_MESSAGE,
    MessageChunk,
    Peek,
    Receive,
    Send,
)
from restante.protocol.client.pipeline import Operation
from restante.protocol.client.replies import Status, strip_noise
from restante.protocol.client.tables import (
    MAX_DIGITS,
    NumberTable,
    SizeTable,
    UidTable,
    read_number,
)
from restante.protocol.errors import (
    ConnectionLostError,
    LocalError,
    MalformedReplyError,
    Phase,
    TruncatedReplyError,
)
from restante.protocol.lines import COMMAND_LIMIT
from restante.protocol.message_header import find_body
from restante.protocol.unstuffing import DotUnstuffer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from restante.protocol.client.effects import Dialogue

FLOOD = 16 * 1024 * 1024  # octets beyond twice the promised ones that no wrong count explains
UNKEPT = 1 << 30  # octets of a body that TOP was not asked for
NO_FINAL = "all octets that LIST promised came; the dot after them is not on a line of its own"
ENDLESS = 1 << 40  # octets of a message of which nothing is promised
_TOKEN_ERROR = (b"+ ey", b"+ ew")  # a challenge with JSON: base64 of { and a quote, blank or LF
MIN_PIECE = 1024  # octets of a message that are read at once, where they came

_TOTALS = re.compile(rf"(\d{{1,{MAX_DIGITS}}})\s+(-?\d{{1,{MAX_DIGITS}}})(?!\d)", re.ASCII)
_AMONG_WORDS = re.compile(
    rf"\D*(?<!-)(\d{{1,{MAX_DIGITS}}})\D+(?<!-)(\d{{1,{MAX_DIGITS}}})\D*", re.ASCII
)
_NO_MAIL = re.compile(r"\b(?:no|0|zero) (?:new )?(?:e?mails?|messages?)\b|\bempty\b", re.IGNORECASE)

T = TypeVar("T")


class MailboxTotals(NamedTuple):
    """The reply to STAT: the number of messages, and their octets together.

    Some servers add up sizes with -1 for one that they do not know, so the sum may be negative.
    """

    messages: int
    octets: int


class MessageEnd(NamedTuple):
    """How a message ended.

    Attributes:
        octets: its octets as they came, without dot-stuffing.
        trailing: octets that came after the terminator unasked: it was not the end.
        lines: its lines.
        bare: its lines that ended with LF alone, if the server ends all lines so.
        dots: the dots that unstuffing removed.
    """

    octets: int
    trailing: bytes
    lines: int
    bare: int = 0
    dots: int = 0

    def has_size(self, listed: int) -> bool:
        """Return whether LIST's size, `listed` octets, is right. It counts line ends as CR LF."""
        return listed in (self.octets, self.octets + self.bare)


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


def _status(verb: str, *fields: str, phase: Phase = Phase.MAILBOX) -> Operation[Status]:
    return Operation(command(verb, *fields), ServerPeer.read_ok, phase=phase)


def capa() -> Operation[dict[str, str]]:
    """CAPA: each tag in upper case, with what follows it. RFC 2449 section 5."""

    def read(peer: ServerPeer) -> Dialogue[dict[str, str]]:
        yield from peer.read_ok(multiline=True)
        lines: list[str] = []
        yield from peer.read_lines(lines.append, LINE_LIMIT)
        pairs = (line.strip().partition(" ") for line in lines if line.strip())
        return {tag.upper(): argument.strip() for tag, _, argument in pairs}

    return Operation(command("CAPA"), read, phase=Phase.CAPA)


def stls() -> Operation[Status]:
    """STLS: TLS may begin after its +OK. RFC 2595 section 4."""
    return _status("STLS", phase=Phase.TLS)


def utf8() -> Operation[Status]:
    """UTF8. RFC 6856 section 2."""
    return _status("UTF8", phase=Phase.LOGIN)


def lang(tag: str) -> Operation[Status]:
    """LANG with a tag. RFC 6856 section 3."""
    return _status("LANG", tag)


def user(name: str) -> Operation[Status]:
    """USER. RFC 1939 section 7."""
    return _status("USER", name, phase=Phase.LOGIN)


def pass_(password: str) -> Operation[Status]:
    """PASS, whose password no trace shows. RFC 1939 section 7.

    A proxy may send a token in place of the password, and pass an error of AUTH on: a challenge
    with JSON, which an empty line confirms, and then -ERR. RFC 7628 section 3.2.3.
    """

    def read(peer: ServerPeer) -> Dialogue[Status]:
        if (yield from peer.read_line(peek=True)).startswith(_TOKEN_ERROR):
            yield from peer.read_line()
            peer.add_trace("<", "+ ***")
            yield from Send(b"\r\n")
        return (yield from peer.read_ok())

    return Operation(command("PASS", password), read, b"PASS ***\r\n", Phase.LOGIN)


def apop(name: str, digest: str) -> Operation[Status]:
    """APOP. RFC 1939 section 7. Of a digest, passwords can be guessed: no text shows it."""

    def read(peer: ServerPeer) -> Dialogue[Status]:
        peer.secrets.add(digest)
        return (yield from peer.read_ok())

    shown_command = f"APOP {name} ***\r\n".encode()
    return Operation(command("APOP", name, digest), read, shown_command, Phase.LOGIN)


def noop() -> Operation[Status]:
    """NOOP. RFC 1939 section 5."""
    return _status("NOOP")


def rset() -> Operation[Status]:
    """RSET: nothing is marked any more. RFC 1939 section 5."""
    return _status("RSET")


def require_number(number: int) -> int:
    """Return a message number. Raises TypeError: it is not an int, such as "1" or True."""
    if not isinstance(number, int) or isinstance(number, bool):
        raise TypeError(f"a message number is an int, not {number!r}")
    return number


def dele(number: int) -> Operation[Status]:
    """DELE: the message is marked, and removed by QUIT. RFC 1939 section 5."""
    return _status("DELE", str(require_number(number)))


def quit_() -> Operation[Status]:
    """QUIT: what is marked is removed. RFC 1939 section 6."""
    return _status("QUIT", phase=Phase.QUIT)


def stat() -> Operation[MailboxTotals]:
    """STAT. RFC 1939 section 5."""

    def read(peer: ServerPeer) -> Dialogue[MailboxTotals]:
        status = yield from peer.read_ok()
        match = _TOTALS.match(status.text)
        if not match:
            excerpt = peer.excerpt(status.line.encode())
            match = _AMONG_WORDS.fullmatch(status.text)
            if not match:
                raise peer.error(
                    MalformedReplyError, "bad-reply", f'not a count and a size: "{excerpt}"'
                )
            peer.note_oddity("odd-reply", f'STAT has words between its numbers: "{excerpt}"')
        return MailboxTotals(int(match[1]), int(match[2]))

    return Operation(command("STAT"), read)


def list_() -> Operation[Mapping[int, int]]:
    """LIST: the octets of each message by its number, 0 for no usable size. RFC 1939 section 5."""
    return _table("LIST", SizeTable)


def uidl() -> Operation[Mapping[int, str]]:
    """UIDL: the unique-id of each message by its number. RFC 1939 section 7."""
    return _table("UIDL", UidTable)


def _table(verb: str, create: Callable[[], NumberTable[T]]) -> Operation[Mapping[int, T]]:
    def read(peer: ServerPeer) -> Dialogue[Mapping[int, T]]:
        status = yield from peer.read_ok(multiline=True)
        table = create()
        if not peer.unread and says_no_mail(status.text):
            peer.unread += yield from Peek(END_OF_REPLY)
            if not peer.unread:
                text = f'{verb} of an empty mailbox has no dot after "{status.line}"'
                peer.note_oddity("list-empty", text)
                return table
        blocks = LineBlocks(table.regular, lambda block: table.add_words(block.split()))
        yield from peer.read_lines(lambda line: add(peer, table, line), blocks=blocks)
        return table

    def add(peer: ServerPeer, table: NumberTable[T], line: str) -> None:
        if line.strip():
            number, *columns = line.split(None, 1)
            try:
                table.add(read_number(number), table.read("".join(columns)))
            except ValueError:  # it may belong to another reply, or to a message
                text = f'{verb} has the line "{peer.excerpt(line.encode())}"'
                raise peer.error(MalformedReplyError, "bad-reply", text) from None
        if "odd-list" not in peer.oddities and not table.regular_line.match(line):
            peer.note_oddity("odd-list", f"{verb} has the line {peer.excerpt(line.encode())!r}")

    return Operation(command(verb), read)


def says_no_mail(text: str) -> bool:
    """Return whether a reply's text means that the mailbox is empty."""
    return bool(_NO_MAIL.search(text))


def top(number: int, lines: int = 0, keep: int = LISTING_LIMIT) -> Operation[bytes]:
    """TOP: the header and a number of body lines. RFC 1939 section 7.

    Returns the first `keep` octets at most. Of a server that sends the body where no line of it was
    asked for, only the header is returned. Raises MalformedReplyError: there is no end.
    """

    def read(peer: ServerPeer) -> Dialogue[bytes]:
        yield from peer.read_ok(multiline=True)
        body = DotUnstuffer(bare_lf=peer.bare_lf)
        head = bytearray()
        header = 0  # its octets, once its end has come
        while not body.ended:
            piece = yield from next_piece(peer, body, UNKEPT if header else LISTING_LIMIT)
            if header:
                continue
            searched = max(0, len(head) - len(b"\n\r"))
            head += piece[: keep - len(head)]
            if not lines and (body_begins := find_body(head, searched)) >= 0:
                header = body_begins
                del head[header:]
        if header and body.octets > header + len(b"\r\n"):
            text = f"{body.octets - header} octets of the body came with TOP {number} 0"
            peer.note_oddity("top-body", text)
        peer.multiline_command = peer.command
        return bytes(head)

    return Operation(
        command("TOP", str(require_number(number)), str(lines)), read, phase=Phase.MESSAGE
    )


def retr(
    number: int, promised: int | None = None, most: int | None = None
) -> Operation[MessageEnd]:
    """RETR: the message as chunks, and how it ended. RFC 1939 section 5.

    `promised` is the size by LIST: a message that goes on far beyond it is taken for endless, and
    after one that is shorter or longer there may be more, so that is waited for a moment.
    No message has more than `most` octets, whatever is promised.
    Raises TruncatedReplyError too: the connection ended before the message did.
    """

    def read(peer: ServerPeer) -> Dialogue[MessageEnd]:
        yield from peer.read_ok(multiline=True)
        body = DotUnstuffer(bare_lf=peer.bare_lf)
        limit = min(max_message_octets(promised), most or ENDLESS)
        while not body.ended:
            piece = yield from next_piece(peer, body, limit, promised)
            if piece:
                yield MessageChunk(piece)  # without `from`: two calls fewer
        if body.octets != promised and not peer.outstanding and not peer.unread:
            peer.unread += yield from Peek(REST_OF_MESSAGE)
        trailing = b"" if peer.outstanding else bytes(peer.unread)
        if body.octets == promised and not strip_noise(trailing):
            trailing = b""  # an empty line after a message that is whole
        peer.multiline_command = peer.command
        peer.add_trace("<", f"({body.octets} octets)")
        return MessageEnd(body.octets, trailing, body.lines, body.bare, body.dots)

    return Operation(b"RETR %d\r\n" % require_number(number), read, phase=Phase.MESSAGE)


def max_message_octets(promised: int | None) -> int:
    """Return the limit of octets for a message of this size in LIST."""
    return 2 * promised + FLOOD if promised else ENDLESS


def next_piece(
    peer: ServerPeer, body: DotUnstuffer, limit: int, promised: int | None = None
) -> Dialogue[bytes]:
    """Return the next octets of a message; there may be none as yet.

    Raises TruncatedReplyError, MalformedReplyError.

    Where all `promised` octets came, and a dot that is not on a line of its own, silence ends it.
    """
    if not peer.unread:
        may_end = promised is not None and body.may_end_at(promised) and not peer.outstanding
        if may_end and (yield from _is_silent(peer)):
            _note_missing_end(peer, body)
            return body.end_here()
    if not peer.unread:
        yield from _receive_more(peer, body)
    # What follows the message is not copied with each of many small ones.
    expected = max(MIN_PIECE, (promised or 0) - body.octets + len(b".\r\n"))
    octets = bytes(peer.unread[:expected])
    piece = body.feed(octets)
    del peer.unread[: len(octets) - len(body.rest)]
    if body.by_lf and not peer.bare_lf:
        peer.note_oddity("lf-ends", f"lines end with LF alone in the answer to {peer.command}")
    if body.octets > limit:
        raise peer.error(
            MalformedReplyError, "bad-reply", f"{body.octets} octets have come, and no end"
        )
    return piece


def _is_silent(peer: ServerPeer) -> Dialogue[bool]:
    """Wait a moment for more of a reply, and return whether nothing came."""
    peer.unread += yield from Peek(END_OF_REPLY)
    return not peer.unread


def _note_missing_end(peer: ServerPeer, body: DotUnstuffer) -> None:
    """Note why the end of a message is taken for one."""
    if body.dot_alone:
        text = f"the end of the answer to {peer.command} is a dot with LF alone"
        peer.note_oddity("lf-ends", text)
    else:
        peer.note_oddity("msg-nofinal", f"{NO_FINAL} ({peer.command})")


def _receive_more(peer: ServerPeer, body: DotUnstuffer) -> Dialogue[None]:
    """Receive more of a message. Raises TruncatedReplyError."""
    lost = ""
    try:
        peer.unread += yield Receive()
    except ConnectionLostError as error:
        lost = f" ({error.text})"
    if not peer.unread:
        text = f"the connection ended after {body.octets} octets, before the end of the message"
        raise peer.error(TruncatedReplyError, "msg-truncated", f"{text}{lost}")
