"""Replies as octets: RFC 1939 section 3."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restante.protocol.errors import Refusal, ResponseCode
from restante.protocol.status import error_reply, multiline_reply, ok


@pytest.mark.parametrize(
    ("reply", "octets"),
    [
        (ok(), b"+OK\r\n"),
        (ok("Logged in."), b"+OK Logged in.\r\n"),
        (ok("Gr\N{LATIN SMALL LETTER U WITH DIAERESIS}\x1b\n."), "+OK Gr\xfc??.\r\n".encode()),
        (error_reply(Refusal("No.")), b"-ERR No.\r\n"),
        (error_reply(Refusal("No.", ResponseCode.IN_USE)), b"-ERR [IN-USE] No.\r\n"),
        (error_reply(Refusal("No message {n}.", n=7)), b"-ERR No message 7.\r\n"),
        (multiline_reply(ok("2"), ["a", ".b"]), b"+OK 2\r\na\r\n..b\r\n.\r\n"),
        (multiline_reply(ok("2"), [".", ".."]), b"+OK 2\r\n..\r\n...\r\n.\r\n"),
        (multiline_reply(ok("0"), []), b"+OK 0\r\n.\r\n"),
    ],
)
def test_a_reply_is_written_as_the_rfc_wants_it(reply: bytes, octets: bytes) -> None:
    """rfc1939-s3/status-words, rfc1939-s3/multiline-end, rfc1939-s3/dot-stuffing,
    rfc2449-s3/response-code.
    """
    assert reply == octets


@given(st.text(st.characters(codec="utf-8")))
def test_status_length(text: str) -> None:
    """rfc1939-s3/status-length, rfc2449-s4/status-length, implied/long-names, implied/no-injection,
    rfc2449-s3/printable-text: any text becomes one line of at most 512 octets.
    """
    for reply in (ok(text), error_reply(Refusal("{name}", ResponseCode.SYS_TEMP, name=text))):
        assert len(reply) <= 512
        assert reply.endswith(b"\r\n")
        assert b"\r" not in reply[:-2]
        assert b"\n" not in reply[:-2]
        assert b"\0" not in reply
        reply.decode()


def test_cut_between_characters() -> None:
    """A text is never cut within a character."""
    assert len(ok("\N{EURO SIGN}" * 300)) in (510, 511, 512)
    ok("\N{EURO SIGN}" * 300).decode()
