"""A delivery writes trace headers on top of a message: RFC 5321 section 4.4."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restante.delivery import trace_headers
from restante.delivery.trace_headers import Envelope, LoopError

TOP = b"Return-Path: <bob@example.org>\nDelivered-To: ann@example.com\n"
ANN = Envelope("bob@example.org", "ann@example.com")


@pytest.mark.parametrize(
    ("message", "rest"),
    [
        (b"Subject: a\n\nhello\n", b"Subject: a\n\nhello\n"),
        (b"Subject: a\r\n\r\nhello\r\n", b"Subject: a\r\n\r\nhello\r\n"),
        (b"", b""),
        (b"\nno header\n", b"\nno header\n"),
        (b"Return-Path: <x@y>\nSubject: a\n\n", b"Subject: a\n\n"),
        (b"Subject: a\nreturn-PATH : <x@y>\n (old)\nTo: b\n\n", b"Subject: a\nTo: b\n\n"),
        (b"Return-Path: <x@y>", b""),
        (b"A: b\n Return-Path: <x@y>\n\n", b"A: b\n Return-Path: <x@y>\n\n"),
        (b"A: b\n\nReturn-Path: <x@y>\n", b"A: b\n\nReturn-Path: <x@y>\n"),
        (b"A: b\r\n\r\nReturn-Path: <x@y>\r\n", b"A: b\r\n\r\nReturn-Path: <x@y>\r\n"),
        (b"Received: c\nDelivered-To: bob@example.org\n\n",) * 2,
    ],
)
def test_two_headers_are_added(message: bytes, rest: bytes) -> None:
    """Two header lines are added, and another Return-Path is removed."""
    assert trace_headers.add_trace_headers(message, ANN) == TOP + rest


def test_nobody_is_a_sender_too() -> None:
    """An empty sender is written as `<>`."""
    assert (
        trace_headers.add_trace_headers(b"", Envelope("", "ann"))
        == b"Return-Path: <>\nDelivered-To: ann\n"
    )


def test_what_the_mta_has_put_on_top_is_not_doubled() -> None:
    """Postfix does so with `flags=DR`."""
    message = b"Return-Path: <bob@example.org>\nDelivered-To: Ann@Example.com\nReceived: x\n\n"
    assert trace_headers.add_trace_headers(message, ANN) == (
        b"Return-Path: <bob@example.org>\nDelivered-To: Ann@Example.com\nReceived: x\n\n"
    )


def test_the_message_of_the_article_stays_as_it_is() -> None:
    """A message that has these headers already is not changed."""
    message = TOP + b"Received: from localhost\n    by example.com\nSubject: a\n\n"
    assert trace_headers.add_trace_headers(message, ANN) == message


@pytest.mark.parametrize("name", [b"ann@example.com", b"ANN@example.com ", b" \tann@example.com\r"])
def test_loop_is_rejected(name: bytes) -> None:
    """A message that was delivered to the same recipient before is rejected."""
    message = b"Received: x\nDelivered-To: %b\nReceived: y\n\n" % name
    with pytest.raises(LoopError):
        trace_headers.add_trace_headers(message, ANN)
    assert trace_headers.add_trace_headers(message, Envelope("", "bob")).endswith(message)


def test_a_quoted_header_in_the_body_is_no_loop() -> None:
    """A Delivered-To line in the body is not a loop."""
    message = b"Received: x\n\nReceived: y\nDelivered-To: ann@example.com\n"
    assert trace_headers.add_trace_headers(message, ANN) == TOP + message


@pytest.mark.parametrize("name", [b"Delivered-To", b"Return-Path", b"Received"])
def test_a_header_made_to_take_long_takes_no_time(name: bytes) -> None:
    """Fields of any length cost no time, and one that is not whole in the searched part stays."""
    field = b"%b:a%bb\n" % (name, b" " * 200_000)
    folded = b"%b%b\n%b" % (name, b" " * 9, b" :\n" * 10_000)
    removed = field if name == b"Return-Path" else b""
    for header in (field, folded, field * 3):
        kept = header.removeprefix(removed) + b"\n"
        assert trace_headers.add_trace_headers(header + b"\n", ANN) == TOP + kept


@given(st.binary(), st.binary())
def test_whatever_comes_in_is_in_what_is_stored(header: bytes, body: bytes) -> None:
    """Every message is stored whole after the added headers."""
    message = b"Subject: " + header.replace(b"\n", b"\n ") + b"\n\n" + body
    assert trace_headers.add_trace_headers(message, ANN) == TOP + message


@pytest.mark.parametrize("name", ["a\nX: b", "a\r\nX: b", "a\0b", "a\x1bb", "a\udcffb"])
def test_no_address_can_begin_another_line(name: str) -> None:
    """A line end or control character in an address cannot begin a header of its own."""
    lines = trace_headers.add_trace_headers(b"\n", Envelope(name, name)).split(b"\n")
    assert len(lines) == 4
    assert lines[0].startswith(b"Return-Path: <a?")
    assert lines[1].startswith(b"Delivered-To: a?")


def test_long_field_takes_little_memory() -> None:
    """A sender decides how often a field is folded: it took 130 octets of memory for each."""
    message = b"Return-Path:" + b"\n " * (trace_headers.LONGEST_HEADER // 2 - 10) + b"\n\n"
    tracemalloc.start()
    try:
        trace_headers.add_trace_headers(message, ANN)
        assert tracemalloc.get_traced_memory()[1] < 8 * len(message)
    finally:
        tracemalloc.stop()


def test_endless_header_is_bounded() -> None:
    """Of a header without end a bounded length is read."""
    message = b"x: y\n" * trace_headers.LONGEST_HEADER + b"Return-Path: <x@y>\n"
    assert trace_headers.add_trace_headers(message, ANN) == TOP + message


@pytest.mark.parametrize(
    ("message", "left", "sender"),
    [
        (b"From bob@example.org  Tue Nov 24 22:00:00 2026\nA: b\n", b"A: b\n", "bob@example.org"),
        (b"From MAILER-DAEMON Tue Nov 24 22:00:00 2026\nA: b\n", b"A: b\n", ""),
        (b"From: bob@example.org\n\n", b"From: bob@example.org\n\n", None),
        (b"A: b\n\nFrom bob now\n", b"A: b\n\nFrom bob now\n", None),
    ],
)
def test_from_line_is_stripped(message: bytes, left: bytes, sender: str | None) -> None:
    """The From-line of an mbox is not part of the message."""
    assert trace_headers.strip_from_line(message) == (left, sender)


def test_a_message_may_name_its_own_sender() -> None:
    """The sender is read from a Return-Path of the header, not of the body."""
    assert (
        trace_headers.return_path(b"A: b\nReturn-Path: <bob@example.org>\n\n") == "bob@example.org"
    )
    assert trace_headers.return_path(b"Return-Path: <>\n\n") == ""
    assert trace_headers.return_path(b"A: b\n\nReturn-Path: <bob@example.org>\n") is None


def test_a_received_line_says_who_brought_it_and_when() -> None:
    """RFC 5321 section 4.4."""
    line = trace_headers.received_field("client.example", "127.0.0.1", "mail.example", "smtp")
    assert line.startswith(b"Received: from client.example ([127.0.0.1])\n    by mail.example ")
    assert b"with SMTP;\n    " in line
    assert line.endswith(b"\n")
    assert b"from unknown (" in trace_headers.received_field("x\x01y", "", "h", "lmtp")
