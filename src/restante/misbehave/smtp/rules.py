"""The language of rules for SMTP: one thing wrong in one line.

    RCPT#2: 451 4.3.0 later             the second RCPT of a session
    RCPT ann@example.com: 550 no        this recipient
    MESSAGE: 552 5.3.4 too big          the message, after the dot
    MAIL~30%: 451 by chance             three of ten
    EHLO: without STARTTLS              no line that begins so
    EHLO: with SIZE 1000                a line, in place of one with the same first word
    DATA: close at 100%                 after the reply
    smtp greeting: 421 busy             the first line of all; 421 hangs up, too
    smtp AUTH: 535 wrong password       the last reply to AUTH
    smtp challenge: silence             the server's lines within AUTH
    smtp *: wait 50ms                   each reply

Verbs that POP3 has too need the word smtp before them, unless a reply with a code follows. A later
rule is nearer to the server.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from restante.delivery.protocol.commands import COMMANDS
from restante.misbehave.conversation import GREETING, Ending
from restante.misbehave.rules import (
    Place,
    change_at,
    check_verb,
    encode,
    parse_chance,
    parse_lines,
    parse_manner,
    parse_turn,
)
from restante.misbehave.smtp.conversation import CHALLENGE, MESSAGE

if TYPE_CHECKING:
    import random

    from restante.misbehave.conversation import Alteration, Change, CommandLine, ReplyParts

SMTP_ONLY = frozenset({"EHLO", "HELO", "MAIL", "RCPT", "DATA", "STARTTLS", MESSAGE})
"""Verbs that need no word before them."""

_WHERE = re.compile(
    r"(?P<smtp>smtp +)?(?P<verb>\*|[A-Za-z]+)(?:#(?P<nth>\d+))?(?: +(?P<about>[^\s:~]+))?"
    r"(?:~(?P<chance>\d+(?:\.\d+)?)%)?",
    re.IGNORECASE,
)
_VERBS = {"*", GREETING, MESSAGE, CHALLENGE, *(row.name for row in COMMANDS)}
_REPLY = re.compile(r"[2-5]\d\d(?: .*)?")

PLACES = (
    'write it as "RCPT: 451 later", "RCPT#2: ...", "RCPT ann: ..." or "RCPT~30%: ...", by itself'
)

USAGE = (
    'write a reply such as "451 4.3.0 later", "close", "reset" or "silence" (with "at 50%" or '
    '"at 20"), "wait 50ms", "rate 4k/s", "chunks 1", "without WORD" or "with LINE"'
)


@dataclass(frozen=True, slots=True)
class SmtpPlace(Place):
    """Which replies of a session a rule is about; `about` is in the argument of the command."""

    about: str = ""

    def fits(self, command: CommandLine) -> bool:
        """Return whether a reply to a command is one of these, whatever its turn and its luck."""
        inside = self.about.lower() in command.argument.lower()
        return inside and self.verb in ("*", command.verb)


def is_rule(text: str) -> bool:
    """Return whether a text is a rule of SMTP, not a name and not a rule of POP3."""
    place, colon, what = text.partition(":")
    word = re.split(r"[^A-Z]", place.strip().upper())[0]
    is_of_smtp = word == "SMTP" or word in SMTP_ONLY or _REPLY.fullmatch(what.strip())
    return bool(colon and is_of_smtp)


def parse_rules(text: str) -> Alteration:
    """Return the sum of the rules in a text, one a line. Chance is the same each time.

    Raises ValueError: a line is not a rule.
    """
    return parse_lines(text, 0, _parse)


def _parse(line: str, luck: random.Random) -> Alteration:
    place_text, colon, what = line.partition(":")
    match = _WHERE.fullmatch(place_text.strip())
    if not match or not colon:
        raise ValueError(f"invalid rule {line!r}; {PLACES}")
    verb = match["verb"].upper()
    check_verb(verb, _VERBS, line)
    place = SmtpPlace(
        verb,
        parse_turn(match["nth"], line),
        chance=parse_chance(match["chance"], line),
        about=match["about"] or "",
    )
    return change_at(place, _parse_change(what.strip(), line), luck)


def _parse_change(what: str, line: str) -> Change:
    """Return what a rule does to a reply. Raises ValueError."""
    if _REPLY.fullmatch(what):
        status = encode(what, line)
        return lambda reply: say(reply, status)
    if change := parse_manner(what, line):
        return change
    if what.startswith("without "):
        word = encode(what.removeprefix("without "), line)
        return lambda reply: without(reply, word)
    if what.startswith("with "):
        new_line = encode(what.removeprefix("with ").strip(), line)
        return lambda reply: with_line(reply, new_line)
    raise ValueError(f"invalid rule {line!r}; {USAGE}")


def say(reply: ReplyParts, status: bytes) -> ReplyParts:
    """Return a reply with another text, given without its end.

    421 hangs up, too: RFC 5321 section 3.8.
    """
    sent = replace(reply, status=status + b"\r\n")
    return replace(sent, ending=Ending.CLOSE, stop=None) if status.startswith(b"421") else sent


def without(reply: ReplyParts, word: bytes) -> ReplyParts:
    """Return a reply without the lines that begin with a word, as those of EHLO do."""
    return with_lines(reply, [line for line in lines_of(reply) if _word(line) != word.upper()])


def with_line(reply: ReplyParts, line: bytes) -> ReplyParts:
    """Return a reply with a line more, in place of one with the same first word."""
    lines = lines_of(reply)
    indexes = [index for index, each in enumerate(lines) if _word(each) == _word(line)]
    if indexes:
        lines[indexes[0]] = line
    else:
        lines.append(line)
    return with_lines(reply, lines)


def lines_of(reply: ReplyParts) -> list[bytes]:
    """Return the lines of a reply, without their code and end."""
    return [line[4:] for line in reply.status.splitlines()]


def with_lines(reply: ReplyParts, lines: list[bytes]) -> ReplyParts:
    """Return a reply with the same code and other lines, given without code and end."""
    code = reply.status[:3]
    marks = [b"-"] * (len(lines) - 1) + [b" "]
    status = b"".join(code + mark + line + b"\r\n" for mark, line in zip(marks, lines, strict=True))
    return replace(reply, status=status)


def _word(line: bytes) -> bytes:
    return line.partition(b" ")[0].upper()
