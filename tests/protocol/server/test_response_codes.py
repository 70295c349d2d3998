"""Brackets mean a response code, and nothing else does: RFC 2449 section 3."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from restante.protocol.errors import Refusal, ResponseCode
from restante.protocol.server.needs import LockMaildrop, Need
from support.world import Talk, World

VERBS = b"USER PASS QUIT STAT LIST UIDL RETR TOP DELE RSET NOOP CAPA HELO [AUTH]".split()
ARGUMENTS = [b"", b" ", b" ann", b" secret", b" [AUTH]", b" [x", b" 1", b" 9", b" 1 [1]", b" \xff"]
BRACKET = re.compile(rb"^(?:\+OK|-ERR) ?(\[.*)\r$", re.MULTILINE)
CODE = re.compile(rb"\[(?:AUTH|IN-USE|LOGIN-DELAY|SYS/TEMP|SYS/PERM|UTF8)\] \S.*")

commands = st.builds(bytes.__add__, st.sampled_from(VERBS), st.sampled_from(ARGUMENTS))
LOG_IN = [b"USER ann", b"PASS secret"]


@given(st.lists(commands), st.lists(commands), st.sampled_from([None, *ResponseCode]))
def test_brackets_are_registered_codes(
    before: list[bytes], after: list[bytes], locked: ResponseCode | None
) -> None:
    """rfc2449-s3/response-code, rfc2449-s6.4/resp-codes: a bracket at the beginning of a text holds
    a registered code.
    """
    world = World()
    world.add("ann", "secret", b"Subject: a\n\nhello\n")

    def refuse(need: Need[object]) -> None:
        if locked and isinstance(need, LockMaildrop):
            raise Refusal("Not now.", locked)

    said = Talk(world, on_need=refuse).send(b"\r\n".join([*before, *LOG_IN, *after, b""]))
    assert all(CODE.fullmatch(found) for found in BRACKET.findall(said)), said
