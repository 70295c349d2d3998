"""Each check of `pop3 verify` fails at a server that violates its rule."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from typing import TypeAlias

import pytest

from conformance.faulty_proxy import Alter, faulty, unchanged
from conformance.in_memory import InMemory
from conformance.own_server import ann_at
from conformance.test_suite import FAULTS, instead, only, swap
from restante.conformance import suite
from restante.conformance.check import Check, Deviation
from restante.conformance.context import ConformanceContext
from restante.conformance.raw_connection import RawConnection
from support.live import Live, serving

ELSEWHERE = {"not_reused", "injection", "announced", "twice", "name_forgotten", "old_versions"}
"""Checks with a test of their own, and those within TLS, where no proxy can change an octet."""


@pytest.fixture
def live() -> Iterator[Live]:
    with serving() as live:
        live.add("ann", "hunter22", b"Subject: one\n\nhello\n.\n", b"Subject: two\n\na\nb\n")
        yield live


def greet(*greetings: bytes) -> Alter:
    """Change the greeting, of each connection to the next one."""
    some = itertools.cycle(greetings)
    return lambda said, octets: octets if said else next(some)


def add(verb: str, more: bytes) -> Alter:
    """Send more octets after the answers to a command."""
    return lambda said, octets: octets + more if said.startswith(verb) else octets


def later(verb: str, alter: Alter) -> Alter:
    """Change what is answered after the first answer to a command."""
    seen = 0

    def alter_later(said: str, octets: bytes) -> bytes:
        nonlocal seen
        seen += said.startswith(verb)
        return alter(said, octets) if seen > said.startswith(verb) else octets

    return alter_later


def logged_in(alter: Alter, *, wanted: bool = True) -> Alter:
    """Change answers after a login only."""
    inside = False

    def alter_inside(said: str, octets: bytes) -> bytes:
        nonlocal inside
        inside = said.startswith("PASS") or (inside and said != "")
        return alter(said, octets) if inside is wanted else octets

    return alter_inside


def as_well(verb: str, more: bytes) -> Alter:
    """Send the server another command after one that came."""
    return lambda said, octets: octets + more if said.startswith(verb) else octets


def new_ids() -> Alter:
    """Give a message another unique-id each time."""
    numbers = itertools.count()
    return lambda said, octets: octets.replace(b" memory-1", b" %d" % next(numbers))


def share_ids(said: str, octets: bytes) -> bytes:
    """Give all messages one unique-id, and each another text."""
    if said.startswith("UIDL "):
        return b"+OK 1 same\r\n"
    return octets.replace(b"Twice", said.encode()) if said.startswith("RETR ") else octets


Case: TypeAlias = tuple[str, str, Alter, Alter]

CASES: list[Case] = [
    ("greeting", "more follows", greet(b"+OK\r\nmore\r\n"), unchanged),
    ("timestamp", "repeated: <1@x>", greet(b"+OK <1@x>\r\n"), unchanged),
    ("timestamp", "not a message-id", greet(b"+OK <1>\r\n", b"+OK <2>\r\n"), unchanged),
    ("capa", "the list is empty", only("CAPA", b"+OK\r\n.\r\n"), unchanged),
    ("tags", 'the tag "T.P"', swap("CAPA", b"TOP", b"T.P"), unchanged),
    ("tags", "TOP: 605 octets", swap("CAPA", b"TOP", b"TOP" + b" x" * 300), unchanged),
    ("case", "-ERR", only("qUiT", b"-ERR\r\n"), unchanged),
    ("empty", "+OK", only("", b"+OK\r\n"), unchanged),
    ("password_alone", "+OK", swap("PASS", b"-ERR", b"+OK"), unchanged),
    ("long_name", "an unknown name", swap("USER RESTANTE-VERIFY", b"+OK", b"-ERR"), unchanged),
    ("longest", "what", swap("USER XX", b"+OK", b"what"), unchanged),
    ("overlong", "4 replies to two lines", unchanged, lambda said, octets: b"X\r\n" * 3 if said[:2] == "XX" else octets),
    ("quit_early", "-ERR", only("QUIT", b"-ERR\r\n"), unchanged),
    ("quit_early", "stays open", swap("QUIT", b"-ERR", b"+OK"), instead("QUIT", b"NOOP\r\n")),
    ("lone_cr_in_command", "2 replies to one line", add("NOOP\r", b"+OK\r\n"), unchanged),
    ("too_late", "+OK", swap("STLS", b"-ERR", b"+OK"), unchanged),
    ("unknown_mechanism", "+OK", swap("AUTH X-", b"-ERR", b"+OK"), unchanged),
    ("given_up", "+OK", swap("*", b"-ERR", b"+OK"), unchanged),
    ("no_base64", "+OK", swap("!!!!", b"-ERR", b"+OK"), unchanged),
    ("any_case", "-ERR", only("auth plain", b"-ERR\r\n"), unchanged),
    ("stat", "+OK 2", only("STAT", b"+OK 2\r\n"), unchanged),
    ("numbered", "[1, 3", swap("LIST", b"\r\n2 ", b"\r\n3 "), unchanged),
    ("retr_alone", "+OK", only("RETR", b"+OK\r\n"), unchanged),
    ("top_nothing", "octets instead of", unchanged, instead("TOP 1 0", b"TOP 1 1\r\n")),
    ("top_everything", "octets instead of", unchanged, instead("TOP 1 1000000", b"TOP 1 0\r\n")),
    ("unique_ids", "mmmm", swap("UIDL", b"memory-1", b"m" * 71), unchanged),
    ("unique_ids", "unique-ids for", swap("UIDL", b"2 memory-2\r\n", b""), unchanged),
    ("different_ids", "messages 1 and 2 differ", swap("UIDL", b"memory-2", b"memory-1"), unchanged),
    ("lasting_ids", "gone: ", new_ids(), unchanged),
    ("noop", "-ERR", only("NOOP", b"-ERR\r\n"), unchanged),
    ("second_login", "PASS: ", swap("PASS NOBODY", b"-ERR", b"+OK"), unchanged),
    ("locked", "both sessions are logged in", swap("PASS", b"-ERR [IN-USE]", b"+OK"), unchanged),
    ("locked_code", "-ERR", swap("PASS", b"[IN-USE] ", b""), unchanged),
    ("closed", "-ERR", only("QUIT", b"-ERR\r\n"), unchanged),
    ("closed", "stays open", unchanged, instead("QUIT", b"NOOP\r\n")),
    ("both_states", "missing after login: TOP", logged_in(swap("CAPA", b"TOP\r\n", b"")), unchanged),
    ("announced_early", "only after login: TOP", logged_in(swap("CAPA", b"TOP\r\n", b""), wanted=False), unchanged),
    ("pipelining", "+OK", swap("NOOP", b"-ERR", b"+OK"), unchanged),
    ("lang", "+OK", swap("LANG X-", b"-ERR", b"+OK"), unchanged),
    ("expire", "EXPIRE soon", swap("CAPA", b"EXPIRE NEVER", b"EXPIRE soon"), unchanged),
    ("goes_on", "the next command", only("NOOP", b"what\r\n"), unchanged),
]  # fmt: skip

RUN_CASES: list[Case] = [
    ("short_lines", "the greeting: 606 octets", greet(b"+OK " + b"x" * 600 + b"\r\n"), unchanged),
    ("plain", "at octet", swap("RETR", b"Two lines", b"two lines"), unchanged),
    ("plain", "LIST gives", swap("LIST", b"\r\n", b"0\r\n"), unchanged),
    ("dot_first", "at octet 1", swap("RETR", b"\n..X-Dot", b"\n.X-Dot"), unchanged),
    ("border", "at octet", swap("RETR", b"\n..a dot", b"\n.a dot"), unchanged),
    ("top_is_stuffed", "at octet", swap("TOP", b"\n..x", b"\n.x"), unchanged),
    ("no_last_line_end", "at octet", swap("RETR", b"has no end", b"has no end\r\n"), unchanged),
    ("crlf", "at octet", swap("RETR", b"One.\r\n", b"One.\n"), unchanged),
    ("lone_cr", "at octet", swap("RETR", b"A\rB", b"A\r\nB"), unchanged),
    ("empty_body", "at octet", swap("RETR", b"\r\n.\r\n", b"\r\n\r\n.\r\n"), unchanged),
    ("header_only", "at octet", swap("RETR", b"\r\n.\r\n", b"\r\n\r\n.\r\n"), unchanged),
    ("eight_bit", "at octet", swap("RETR", b"\xfc\xdf", b"??"), unchanged),
    ("long_line", "at octet", swap("RETR", b"xxx\r\n", b"\r\n"), unchanged),
    ("twins", "and different header fields", share_ids, unchanged),
    ("marked", "RETR", swap("RETR", b"-ERR", b"+OK"), unchanged),
    ("numbers_stay", "became", later("DELE", swap("UIDL", b"memory", b"other")), unchanged),
    ("hung_up", "not in the mailbox", unchanged, as_well("DELE", b"QUIT\r\n")),
    ("removed", "the message still exists", unchanged, instead("QUIT", b"RSET\r\nQUIT\r\n")),
    ("removed", "messages became", unchanged, as_well("DELE", b"DELE 1\r\n")),
    ("new_mail", "messages, then", later("LIST", swap("LIST", b"\n.\r\n", b"\n99 5\r\n.\r\n")), unchanged),
]  # fmt: skip


def named(name: str) -> Check:
    return next(check for check in suite.CHECKS if check.name == name)


def ids(cases: Sequence[Case]) -> list[str]:
    return [f"{name}: {evidence}" for name, evidence, _, _ in cases]


@pytest.mark.parametrize(("name", "evidence", "answer", "ask"), CASES, ids=ids(CASES))
def test_check(  # noqa: PLR0917
    live: Live,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    evidence: str,
    answer: Alter,
    ask: Alter,
) -> None:
    """A check fails at a server that violates its rule, and says what it saw."""
    monkeypatch.setattr(RawConnection.closes_within, "__defaults__", (0.2,))
    with faulty(live.port, answer, ask) as port:
        context = ConformanceContext(ann_at(port))
        try:
            with pytest.raises(Deviation, match=re.escape(evidence)):
                named(name).run(context)
        finally:
            context.close_shared_session()


@pytest.mark.parametrize(("name", "evidence", "answer", "ask"), RUN_CASES, ids=ids(RUN_CASES))
def test_check_in_a_run(live: Live, name: str, evidence: str, answer: Alter, ask: Alter) -> None:
    """A check in a whole run fails at a server that violates its rule, and says what it saw."""
    with faulty(live.port, answer, ask) as port:
        found = suite.run(ConformanceContext(ann_at(port), InMemory(live)), [named(name)])
    [result] = found.results
    assert (result.verdict, evidence in result.evidence) == ("fail", True), result.evidence


def test_no_check_is_missing() -> None:
    """Every check has been seen to fail."""
    seen = {case[0] for case in (*CASES, *RUN_CASES)}.union(*(fault[3] for fault in FAULTS))
    assert {check.name for check in suite.CHECKS} - ELSEWHERE == seen
