"""The table of commands: RFC 1939 sections 3 to 7, RFC 2449."""

from __future__ import annotations

import re

import pytest

from restante.protocol.server.capabilities import CAPABILITIES
from restante.protocol.server.commands import ALLOWED, COMMANDS, VERBS
from restante.protocol.server.session import State
from support.world import Talk, World

ARGUMENTS = {"": b"", "name": b" ann", "password": b" x", "message": b" 1", "[message]": b" 1"}


def test_no_command_has_two_rows_for_one_state() -> None:
    """A command has one row for each state."""
    for state, allowed in ALLOWED.items():
        assert len(allowed) == len([row for row in COMMANDS if state in row.states])


def test_every_command_of_the_rfcs_is_there_and_no_other() -> None:
    """The table has exactly the commands of the RFCs."""
    wanted = b"USER PASS QUIT STAT LIST UIDL RETR TOP DELE RSET NOOP CAPA"
    wanted += b" APOP AUTH STLS UTF8 LANG"
    assert frozenset(wanted.split()) == VERBS


@pytest.mark.parametrize("row", COMMANDS, ids=lambda row: row.verb.decode())
def test_every_row_names_its_source(row: object) -> None:
    """Each row names its RFC."""
    assert getattr(row, "source", "").startswith("RFC ")


@pytest.mark.parametrize("verb", sorted(VERBS))
@pytest.mark.parametrize("state", [State.AUTHORIZATION, State.TRANSACTION])
def test_a_command_works_only_in_the_states_of_its_rows(verb: bytes, state: State) -> None:
    """rfc1939-s3/wrong-state, rfc1939-s5/noop."""
    world = World()
    world.add("ann", "secret", b"Subject: a\n\nhello\n")
    talk = Talk(world)
    talk.send()
    if state is State.TRANSACTION:
        talk.send(b"USER ann\r\nPASS secret\r\n")
    elif verb == b"PASS":
        talk.send(b"USER ann\r\n")
    usage = next(row.argument.usage for row in COMMANDS if row.verb == verb)
    said = talk.send(verb + ARGUMENTS.get(usage, b" 1 1") + b"\r\n")
    refused_for_the_state = said in (
        b"-ERR Log in first.\r\n",
        b"-ERR You are logged in already.\r\n",
    )
    assert refused_for_the_state == (verb not in ALLOWED[state])


@pytest.mark.parametrize("line", [b"NOOP", b"STAT", b"LIST", b"LIST 1", b"TOP 1 0", b"DELE 1"])
def test_spaces_at_the_end(line: bytes) -> None:
    """Spaces at the end of a command do not count, since people type them."""
    world = World()
    world.add("ann", "secret", b"Subject: a\n\nhello\n")
    talk = Talk(world)
    talk.send(b"USER ann\r\nPASS secret\r\n")
    assert talk.send(line + b"  \r\n").startswith(b"+OK")


def test_a_keyword_has_three_or_four_letters() -> None:
    """rfc1939-s3/keyword-case."""
    assert all(verb.isalnum() and len(verb) in (3, 4) for verb in VERBS)


def test_a_tag_has_only_characters_that_a_tag_may_have() -> None:
    """rfc2449-s3/capability-tag."""
    assert all(re.fullmatch(r"[\x21-\x2d\x2f-\x7f]+", row.tag) for row in CAPABILITIES)


def test_a_capability_that_names_a_command_has_one() -> None:
    """Each capability that names a command has that command."""
    for tag in ("TOP", "UIDL", "USER"):
        assert tag in [row.tag for row in CAPABILITIES]
        assert tag.encode() in VERBS


def test_only_registered_capabilities_are_announced() -> None:
    """rfc2449-s9/registered, known-bug/capa."""
    registered = (
        "TOP USER SASL RESP-CODES LOGIN-DELAY PIPELINING EXPIRE UIDL IMPLEMENTATION STLS"
        " AUTH-RESP-CODE UTF8 LANG"
    )
    assert {row.tag for row in CAPABILITIES} <= set(registered.split())
