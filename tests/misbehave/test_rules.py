"""The language of rules."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from restante.misbehave import FAULTS, find
from restante.misbehave.conversation import (
    Alteration,
    Answer,
    CommandLine,
    Conversation,
    Ending,
    ReplyParts,
    in_parts,
)
from restante.misbehave.rules import parse_rules
from restante.protocol.server.needs import ReadLine
from restante.protocol.server.session import EndReason

WHOLE = b"+OK\r\nabcd\r\n.\r\n"


def replies(alteration: Alteration, *lines: str) -> list[ReplyParts]:
    """Return the greeting and the replies to lines, of a server that answers all alike."""

    def server() -> Any:
        for _ in range(len(lines) + 1):
            yield WHOLE, ReadLine(255, 60)
        return b"", EndReason.QUIT

    conversation: Conversation = alteration(in_parts(server()))
    found: list[ReplyParts] = []
    line: Any = None
    for line in (None, *(f"{line}\r\n".encode() for line in lines)):
        step = conversation.send(line)
        assert isinstance(step, Answer)
        found.append(step.reply)
    return found


def changed(rule: str, line: str = "RETR 1") -> ReplyParts:
    """Return the reply to one line."""
    return replies(parse_rules(rule), line)[1]


RIGHT = ReplyParts(
    command=CommandLine("RETR", "1"), status=b"+OK\r\n", body=b"abcd\r\n", end=b".\r\n"
)


def test_number_of_many_digits() -> None:
    """A number that no server reads is of no message: Python reads at most 4300 digits."""
    assert changed("*: chunks 1", "RETR " + "1" * 5000).chunk == 1
    assert changed("RETR 1: chunks 1", "RETR " + "1" * 5000).chunk == 0


@pytest.mark.parametrize(
    ("rule", "fields"),
    [
        ("RETR: -ERR no", {"status": b"-ERR no\r\n", "body": b"", "end": b""}),
        ("RETR: +OK yes", {"status": b"+OK yes\r\n"}),
        ("retr: close", {"ending": Ending.CLOSE, "stop": 0}),
        ("RETR: close at 50%", {"ending": Ending.CLOSE, "stop": 7}),
        ("RETR: close at 100%", {"ending": Ending.CLOSE, "stop": None}),
        ("RETR: reset at 5", {"ending": Ending.RESET, "stop": 5}),
        ("RETR 1: silence", {"ending": Ending.SILENT, "stop": 0}),
        ("RETR: cut at 1", {"ending": Ending.CUT, "stop": 1}),
        ("*: wait 50ms", {"wait": 0.05}),
        ("RETR: wait 2s", {"wait": 2.0}),
        ("RETR: wait 9999999s", {"wait": 600.0}),
        ("RETR: rate 4k/s", {"rate": 4000.0}),
        ("RETR: chunks 3", {"chunk": 3}),
        ("RETR: without end", {"end": b""}),
        ("RETR: without abcd", {"body": b""}),
        ("RETR: with abcd e", {"body": b"abcd e\r\n"}),
        ("RETR: with e f", {"body": b"abcd\r\ne f\r\n"}),
        ("RETR: -ERR \udcff\xe4", {"status": b"-ERR \xff\xc3\xa4\r\n", "body": b"", "end": b""}),
        ("RETR: +OK \udcff", {"status": b"+OK \xff\r\n"}),
        ("RETR: with \udcff", {"body": b"abcd\r\n\xff\r\n"}),
        ("RETR 2: close", {}),
        ("RETR#2: close", {}),
        ("RETR~0%: close", {}),
        ("LIST: close", {}),
        ("# RETR: close", {}),
        ("", {}),
    ],
)
def test_a_rule(rule: str, fields: dict[str, Any]) -> None:
    """A rule changes its part of a reply, and nothing else."""
    assert changed(rule) == dataclasses.replace(RIGHT, **fields)


def test_a_place_beyond_any_reply() -> None:
    """A reply that is to stop after more octets than a number can count stops at its end."""
    reply = changed(f"RETR: close at {'9' * 400}")
    assert reply.ending is Ending.CLOSE
    assert reply.octets[: reply.stop] == reply.octets


def test_the_third_one() -> None:
    """A number after # counts the replies that the rule is about."""
    rule = parse_rules("RETR#2: -ERR no")
    said = [reply.ok for reply in replies(rule, "RETR 1", "NOOP", "RETR 1", "RETR 1")]
    assert said == [True, True, True, False, True]


def test_each_session_counts_anew() -> None:
    """The commands of one session do not count in the next one."""
    rule = parse_rules("RETR#1: -ERR no")
    assert not replies(rule, "RETR 1")[1].ok
    assert not replies(rule, "RETR 1")[1].ok


def test_greeting_and_responses() -> None:
    """The greeting is a reply, and so is the answer to a line of AUTH."""
    assert not replies(parse_rules("greeting: -ERR busy"))[0].ok


def test_chance() -> None:
    """The same seed chooses the same replies, and another seed others."""
    lines = ["UIDL"] * 40

    def lucky(seed: int) -> list[bool]:
        return [reply.ok for reply in replies(parse_rules("UIDL~30%: -ERR no", seed), *lines)]

    assert lucky(1) == lucky(1) != lucky(2)
    assert 20 < sum(lucky(1)) < 38


def test_a_sum_is_in_order() -> None:
    """The later rule is nearer to the server, so the end of its reply is where to stop."""
    reply = changed("RETR: close at 50%\nRETR: +OK a longer text")
    assert reply.stop == len(reply.octets) // 2


@pytest.mark.parametrize(
    "rule",
    [
        "RETR",
        "RETR: explode",
        "RETR#x: close",
        "RETR: wait 5",
        "RETR: rate 0/s",
        "LIST: with ",
        ": close",
        "RETR#0: close",
        "RETR~101%: close",
        "RETR#2#3: close",
        "RETR#1-3: close",
        "USER ann: close",
        "RTER: close",
        "connect: close",
        "RETR: close at 101%",
        "RETR: -ERR \ud800",
        "RETR: with \ud800",
    ],
)
def test_no_rule(rule: str) -> None:
    """A wrong rule is an error that shows the rule."""
    with pytest.raises(ValueError, match="rule") as error:
        parse_rules(rule)
    assert repr(rule.strip()) in str(error.value)


@pytest.mark.parametrize("verb", ["XTND", "LAST"])
def test_other_commands(verb: str) -> None:
    """A rule may be about obsolete commands, and about those that begin with X."""
    assert not changed(f"{verb}: -ERR no", verb).ok


def test_find() -> None:
    """A text is a name, a sum, a rule, or several lines of them."""
    assert find("retr-cut") is FAULTS["retr-cut"]
    assert find(" retr-cut + retr-drip ").name == "retr-cut + retr-drip"
    assert find("RETR: -ERR a+b").name == "RETR: -ERR a+b"
    assert find("# two\nretr-cut\n\nLIST: close").name == "retr-cut + LIST: close"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("retr-cutt", "unknown fault 'retr-cutt'; did you mean retr-cut"),
        ("zzzzzz", "pop3 misbehave list"),
        ("", "no fault"),
        ("RTER: close", "unknown command 'RTER' in rule 'RTER: close'; did you mean RETR"),
        ("retr-cut+RETR#2: close", "by itself"),
        ("RCPT: close", "use `pop3 dev --fault`"),
        ("retr-cut+nothing-like-it", "unknown fault 'nothing-like-it'"),
    ],
)
def test_find_nothing(text: str, said: str) -> None:
    """An unknown name is an error with near spellings."""
    with pytest.raises(ValueError, match=said):
        find(text)
