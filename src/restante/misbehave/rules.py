"""The language of rules: one thing wrong in one line.

    RETR#3: -ERR [SYS/TEMP] later      the third RETR of a session
    RETR 2: close at 50%               message 2, half of it
    RETR: reset at 20                  after 20 octets
    PASS: silence
    *: wait 50ms                       each reply
    RETR: rate 4k/s
    RETR: chunks 1                     octet by octet
    UIDL~30%: -ERR by chance           three of ten
    CAPA: without UIDL                 no line that begins so
    CAPA: with SASL NTLM               this line in place of one that begins so, or at the end
    greeting: -ERR [SYS/TEMP] busy     the first line of all
    response: -ERR no                  the reply to a line of AUTH
    # a comment

A later rule is nearer to the server. A command that a rule refuses has no effect: the server does
not get it. QUIT does, because a session ends with it, whatever it says.
"""

from __future__ import annotations

import math
import random
import re
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from restante.misbehave.conversation import (
    GREETING,
    RESPONSE,
    Alteration,
    Answer,
    CommandLine,
    Ending,
    ReplyParts,
    add,
    alter,
    read_command,
    relay,
    stop_at,
)
from restante.near_names import suggest_names
from restante.protocol.server.commands import VERBS
from restante.protocol.server.needs import ReadLine

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator

    from restante.misbehave.conversation import Change, Conversation, Step

_WHERE = re.compile(
    r"(?P<verb>\*|[A-Za-z][A-Za-z0-9]*)(?:#(?P<nth>\d+))?(?: +(?P<number>\d+))?"
    r"(?:~(?P<chance>\d+(?:\.\d+)?)%)?",
)
_ENDING = re.compile(
    r"(?P<ending>close|reset|cut|silence)(?: at (?P<stop>\d+(?:\.\d+)?)(?P<share>%)?)?"
)
_WAIT = re.compile(r"wait (?P<time>\d+(?:\.\d+)?) ?(?P<unit>ms|s)")
_RATE = re.compile(r"rate (?P<rate>\d+(?:\.\d+)?)(?P<unit>k?)/s")
_CHUNKS = re.compile(r"chunks (?P<chunk>[1-9]\d*)")

_OLD_VERBS = {"LAST", "RPOP"}  # RFC 1460 and RFC 1081
_VERBS = {"*", GREETING, RESPONSE, *_OLD_VERBS, *(verb.decode() for verb in VERBS)}

LONGEST_WAIT = 600  # seconds

PLACES = 'write it as "RETR: -ERR text", "RETR#3: ...", "RETR 2: ..." or "RETR~30%: ...", by itself'

USAGE = (
    'write "-ERR ...", "+OK ...", "close", "reset", "cut" or "silence" (with "at 50%" or "at 20"), '
    '"wait 50ms", "rate 4k/s", "chunks 1", "with LINE", "without LINE" or "without end"'
)


@dataclass(frozen=True, slots=True)
class Place:
    """Which replies of a session a rule is about.

    Attributes:
        verb: of the command, "*" for each.
        nth: only the nth reply of these in a session, from 1; None for each.
        number: only of this message; None for each.
        chance: the share of them, from 0 to 1.
    """

    verb: str
    nth: int | None = None
    number: int | None = None
    chance: float = 1.0

    def fits(self, command: CommandLine) -> bool:
        """Return whether a reply to a command is one of these, whatever its turn and its luck."""
        return self.verb in ("*", command.verb) and self.number in (None, command.number)


class _Choice:
    """Chooses replies of one session: those of a place, by their turn and their luck."""

    def __init__(self, place: Place, luck: random.Random) -> None:
        self._place = place
        self._luck = luck
        self._seen = 0

    def takes(self, command: CommandLine) -> bool:
        """Return whether the next reply to such a command is chosen."""
        place = self._place
        if not place.fits(command):
            return False
        self._seen += 1
        if place.nth not in (None, self._seen):
            return False
        return place.chance >= 1 or self._luck.random() < place.chance


def change_at(place: Place, change: Change, luck: random.Random | None = None) -> Alteration:
    """Return a fault that changes the replies of a place. `luck` is for its chance."""
    rolls = luck or random.Random(0)  # noqa: S311  # a fault, and no secret

    def apply(conversation: Conversation) -> Conversation:
        choice = _Choice(place, rolls)

        def change_one(reply: ReplyParts) -> ReplyParts:
            if not (reply.status or reply.body) or not choice.takes(reply.command):
                return reply
            try:
                return change(reply)
            except (ValueError, IndexError):
                return reply  # another fault of the sum has made it unreadable

        return alter(conversation, reply=change_one)

    return apply


def refuse_at(place: Place, status: bytes, luck: random.Random | None = None) -> Alteration:
    """Return a fault that refuses the commands of a place: the server does not carry them out."""
    rolls = luck or random.Random(0)  # noqa: S311  # a fault, and no secret

    def apply(conversation: Conversation) -> Conversation:
        return relay(conversation, _Refuser(_Choice(place, rolls), status).ask)

    return apply


class _Refuser:
    """Refuses commands of one session."""

    def __init__(self, choice: _Choice, status: bytes) -> None:
        self._choice = choice
        self._status = status
        self._is_refused: bool | None = None  # the next reply, by its command; None: not known

    def ask(self, step: Step) -> Generator[Step, Any, object]:
        """Yield a step, for a reply perhaps another one, and return what comes for it."""
        if not isinstance(step, Answer):
            return (yield step)
        reply, is_refused = step.reply, self._is_refused
        if is_refused is None and (reply.status or reply.body):
            is_refused = self._choice.takes(reply.command)
        self._is_refused = None
        if is_refused:
            step = Answer(say(reply, self._status), step.then)
        return (yield from self._read_line(step))

    def _read_line(self, step: Answer) -> Generator[Step, Any, object]:
        """Give replies until a line comes that the server is to get, and return it."""
        while True:
            line = yield step
            if not isinstance(step.then, ReadLine) or not isinstance(line, bytes):
                return line
            command = read_command(line, step.reply.status)
            is_refused = self._choice.takes(command)
            if is_refused and command.verb == RESPONSE:
                line = b"*\r\n"  # RFC 5034 section 4: the client gives up
            if not is_refused or command.verb in ("QUIT", RESPONSE):
                self._is_refused = is_refused
                return line
            reply = ReplyParts(command=command, session=step.reply.session, status=self._status)
            step = Answer(reply, step.then)


def on(
    verb: str, change: Change, *, nth: int | None = None, number: int | None = None
) -> Alteration:
    """Return a fault that changes the replies to a command."""
    return change_at(Place(verb, nth, number), change)


def parse_rules(text: str, seed: int = 0) -> Alteration:
    """Return the sum of the rules in a text, one a line. `seed` decides what chance does.

    Raises ValueError: a line is not a rule.
    """
    return parse_lines(text, seed, _parse)


def parse_lines(
    text: str, seed: int, parse: Callable[[str, random.Random], Alteration]
) -> Alteration:
    """Return the sum of what `parse` makes of each line but comments. Raises what it raises."""
    luck = random.Random(seed)  # noqa: S311  # a fault, and no secret
    lines = [line.strip() for line in text.splitlines()]
    return add(*(parse(line, luck) for line in lines if line and not line.startswith("#")))


def is_rule(text: str) -> bool:
    """Return whether a text is a rule, not a name. No name has a colon."""
    return ":" in text


def _parse(line: str, luck: random.Random) -> Alteration:
    place_text, colon, what = line.partition(":")
    match = _WHERE.fullmatch(place_text.strip())
    if not match or not colon:
        raise ValueError(f"invalid rule {line!r}; {PLACES}")
    verb = match["verb"].upper()
    if not verb.startswith("X"):  # as commands of a server's own do
        check_verb(verb, _VERBS, line)
    number = int(match["number"]) if match["number"] else None
    place = Place(verb, parse_turn(match["nth"], line), number, parse_chance(match["chance"], line))
    what = what.strip()
    if what.upper().startswith("-ERR"):
        return refuse_at(place, encode(what, line) + b"\r\n", luck)
    return change_at(place, _parse_change(what, line), luck)


def check_verb(verb: str, known: Collection[str], line: str) -> None:
    """Check that a server may know the verb of a rule. Raises ValueError."""
    if verb not in known:
        hint = suggest_names(verb, known, f"there are {', '.join(sorted(known))}")
        raise ValueError(f"unknown command {verb!r} in rule {line!r}; {hint}")


def parse_turn(text: str | None, line: str) -> int | None:
    """Return the number after "#", None without one. Raises ValueError: it is 0."""
    if text is not None and int(text) == 0:
        raise ValueError(f"invalid rule {line!r}; the first reply is #1")
    return None if text is None else int(text)


def parse_chance(text: str | None, line: str) -> float:
    """Return the chance after "~" as a share, 1 without one. Raises ValueError: it is over 1."""
    chance = 1.0 if text is None else float(text) / 100
    if chance > 1:
        raise ValueError(f"invalid rule {line!r}; a chance is at most 100%")
    return chance


def _parse_change(what: str, line: str) -> Change:
    """Return what a rule does to a reply. Raises ValueError."""
    if what.upper().startswith("+OK"):
        status = encode(what, line) + b"\r\n"
        return lambda reply: say(reply, status)
    if change := parse_manner(what, line):
        return change
    if what == "without end":
        return lambda reply: replace(reply, end=b"")
    if what.startswith("without "):
        word = encode(what.removeprefix("without "), line)
        return lambda reply: without(reply, word)
    if what.startswith("with "):
        new_line = encode(what.removeprefix("with ").strip(), line)
        return lambda reply: with_line(reply, new_line)
    raise ValueError(f"invalid rule {line!r}; {USAGE}")


def encode(text: str, line: str) -> bytes:
    """Return the octets of a text as it was typed: those that are not UTF-8 are surrogates.

    PEP 383. Raises ValueError: the rule has another surrogate.
    """
    try:
        return text.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        raise ValueError(f"invalid rule {line!r}; it has half a character") from None


def parse_manner(what: str, line: str) -> Change | None:
    """Return what a rule does to the sending of a reply, None if it is another kind of rule.

    Raises ValueError: a number is not possible.
    """
    for form, parse in _FORMS:
        if match := form.fullmatch(what):
            try:
                return parse(match)
            except ValueError as error:
                raise ValueError(f"invalid rule {line!r}; {error}") from None
    return None


def say(reply: ReplyParts, status: bytes) -> ReplyParts:
    """Return a reply with another status line. Only +OK has a body."""
    if status.startswith(b"+OK"):
        return replace(reply, status=status)
    return replace(reply, status=status, body=b"", end=b"")


def without(reply: ReplyParts, start: bytes) -> ReplyParts:
    """Return a reply without the lines of its body that begin with a word."""
    lines = [
        line for line in reply.body.splitlines(keepends=True) if line.split(None, 1)[:1] != [start]
    ]
    return replace(reply, body=b"".join(lines))


def with_line(reply: ReplyParts, line: bytes) -> ReplyParts:
    """Return a reply with a line in its body, in place of one with the same first word."""
    if not reply.multiline:
        return reply
    start, lines = line.split(None, 1)[0], reply.body.split(b"\r\n")[:-1]
    indexes = [index for index, each in enumerate(lines) if each.split(None, 1)[:1] == [start]]
    if indexes:
        lines[indexes[0]] = line
    else:
        lines.append(line)
    return replace(reply, body=b"".join(each + b"\r\n" for each in lines))


def _ending(match: re.Match[str]) -> Change:
    word = match["ending"]
    ending = Ending.SILENT if word == "silence" else Ending[word.upper()]
    if match["stop"] is None:
        return lambda reply: stop_at(reply, ending, 0)
    stop = min(float(match["stop"]), sys.maxsize)  # a reply is never as long
    if not match["share"]:
        return lambda reply: stop_at(reply, ending, math.floor(stop))
    if stop > 100:
        raise ValueError("a reply ends at 100%")
    if stop == 100:
        return lambda reply: stop_at(reply, ending)
    return lambda reply: stop_at(reply, ending, stop / 100)


def _wait(match: re.Match[str]) -> Change:
    seconds = float(match["time"]) / (1000 if match["unit"] == "ms" else 1)
    wait = min(seconds, LONGEST_WAIT)
    return lambda reply: replace(reply, wait=reply.wait + wait)


def _rate(match: re.Match[str]) -> Change:
    rate = float(match["rate"]) * (1000 if match["unit"] else 1)
    if rate < 1:
        raise ValueError("a rate is at least 1 octet a second")
    return lambda reply: replace(reply, rate=min(reply.rate, rate))


def _chunks(match: re.Match[str]) -> Change:
    chunk = int(match["chunk"])
    return lambda reply: replace(reply, chunk=chunk)


_FORMS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], Change]], ...] = (
    (_ENDING, _ending),
    (_WAIT, _wait),
    (_RATE, _rate),
    (_CHUNKS, _chunks),
)
