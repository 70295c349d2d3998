"""Header fields: whatever they have, each has a value, soon."""

from __future__ import annotations

import email
import time
from email import policy
from email.message import EmailMessage

import pytest

from restante.mail import fields, message
from restante.mail.header import header_of
from support.odd_mail import FIELDS, VALUES

SECONDS = 2.0  # of processor time; the quadratic readers took 20 for the same

ATTRIBUTES = (
    *("address", "addresses", "groups", "datetime", "params", "content_type"),
    *("content_disposition", "cte", "version", "defects"),
)


@pytest.mark.parametrize("name", FIELDS)
def test_any_value(name: str) -> None:
    """Every field accepts every value: no exception, bounded work, and the octets are kept."""
    begun = time.process_time()
    for value in VALUES:
        octets = name.encode() + b": " + value + b"\r\n\r\nbody"
        header = header_of(octets)
        parsed = header[name]
        for attribute in ATTRIBUTES:
            getattr(parsed, attribute, None)
        _ask_for_all(header)
        written = value[: fields.LONGEST_FIELD].replace(b"\r", b"").strip(b" \t")
        if b"\n" not in value:
            assert header.as_bytes().startswith(name.encode() + b": " + written[:30_000])
        found = message.read(octets)
        assert len(found.parts) == 1, value
        assert message.summary(octets) is not None
        assert isinstance(found.fields(), list)
    assert time.process_time() - begun < SECONDS * len(VALUES) / 10


def _ask_for_all(header: EmailMessage) -> None:
    """Call what a program may call of a header."""
    asked = (header.get_filename(), header.get_content_charset(), header.get_boundary())
    assert all(each is None or isinstance(each, str) for each in asked)
    assert header.get_content_type().count("/") == 1
    header.is_attachment()
    header.get_params()
    header.get_body()
    header.items()
    str(header).encode()
    header.as_string().encode()


def test_types() -> None:
    """A header has the types of the email package."""
    header = header_of(
        b"From: =?utf-8?q?J=C3=BCrgen=2C_X?= <j@x.org>, (Bob) b@y.org\r\n"
        b"Date: Thu, 26 Nov 2026 10:00:00 +0100\r\nSubject: =?utf-8?q?Gr=C3=BC?=\r\n =?utf-8?q?=C3=9Fe?="
        b'\r\nContent-Type: Multipart/Mixed; boundary="a b"; charset=utf-8\r\nMIME-Version: 1.0\r\n\r\n'
    )
    assert header["subject"] == "Grüße"
    assert str(header["from"]) == '"Jürgen, X" <j@x.org>, Bob <b@y.org>'
    assert [found.addr_spec for found in header["from"].addresses] == ["j@x.org", "b@y.org"]
    assert header["date"].datetime.isoformat() == "2026-11-26T10:00:00+01:00"
    assert (header.get_content_type(), header.get_boundary()) == ("multipart/mixed", "a b")
    assert header["mime-version"].version == "1.0"
    other = EmailMessage()
    other["Subject"] = header["subject"]
    assert b"=?utf-8?" in other.as_bytes()


def test_odd_parameters() -> None:
    """A parameter whose name is not valid is known, and not written."""
    value = header_of(b"Content-Type: text/plain; a(b=c; charset=utf-8\r\n\r\n")["content-type"]
    assert value.params == {"a(b": "c", "charset": "utf-8"}
    assert str(value) == 'text/plain; charset="utf-8"'


def test_long_value_as_sent() -> None:
    """A value that would take long to fold is written in one line."""
    words = "word " * 200 + "end"
    other = EmailMessage()
    other["Subject"] = header_of(f"Subject: {words}\r\n\r\n".encode())["subject"]
    assert f"Subject: {words}\n" in other.as_string()


def test_addresses_as_sent() -> None:
    """Addresses beyond ASCII are written in ASCII, with names as encoded words: RFC 2047."""
    octets = 'From: "Jürgen, X" <j@x.org>, Bob <b@y.org>\r\n\r\n'.encode()
    text = header_of(octets).as_string()
    assert text.isascii()
    again = email.message_from_string(text, policy=policy.default)["from"].addresses
    assert [(a.display_name, a.addr_spec) for a in again] == [
        ("Jürgen, X", "j@x.org"), ("Bob", "b@y.org")
    ]  # fmt: skip


def test_no_address_as_sent() -> None:
    """The text of a field of addresses that has none is written."""
    assert header_of("To: (é\r\n\r\n".encode()).as_string() == "To: =?utf-8?b?KMOp?=\n\n"


def test_many_odd_addresses_written_soon() -> None:
    """The email package takes half a second for each of these fields."""
    field = b'Cc: %*:=?8?B?")(' + "\u2028 printablebase€ ".encode() * 8
    header = header_of((field + b"\r\n") * 100)
    begun = time.process_time()
    assert header.as_string().isascii()
    assert time.process_time() - begun < SECONDS * 4


def test_body_is_no_header() -> None:
    """The body after the empty line is not read, however long it is."""
    header = header_of(b"Subject: a\n\n" + b"Subject: b\n" * 100_000)
    assert header.get_all("subject") == ["a"]
    assert header.get_payload() == ""


@pytest.mark.parametrize(
    ("octets", "sender", "subject"),
    [
        (b"From: Ann <a@b.c>\nSubject: x\n\n", "Ann", "x"),
        (b'From: "Ann \\"A\\" B" <a@b.c>\n\n', 'Ann "A" B', ""),
        (b"From: a@b.c (Ann)\n\n", "Ann", ""),
        (b"From: group: a@b.c, d@e.f;\n\n", "a@b.c", ""),
        (b"From: nobody in particular\n\n", "nobody in particular", ""),
        (b"From: <>\n\n", "<>", ""),
        (b"From: (((((\n\n", "(((((", ""),
        (b"From: =?gb2312?b?w/e=?= <a@b.c>\n\n", "明", ""),
        (b"Subject: J\xc3\xbcrgen\n\n", "", "Jürgen"),
        (b"Subject: J\xfcrgen\n\n", "", "Jürgen"),
        (b"Subject: =?utf-7?Q?+2Gg-?=\n\n", "", "+2Gg-"),
        (b"Subject: Re: =?utf-8?q?=C3=A9?= or =?utf-8?q?=C3=A8?= ?\n\n", "", "Re: é or è ?"),
        (b"Subject: =?utf-8?b?5pel5pw=?=  =?utf-8?b?rOiqng==?=\n\n", "", "日本語"),
        (b"Subject: =?utf-8?b?5pel5g==?= =?utf-8?b?nKzoqp4=?=\n\n", "", "日本語"),
        (b"From ann Thu Nov 26\nSubject: mbox\n\n", "", "mbox"),
        (b"Received: a\nodd line\nSubject: behind\n\n", "", "behind"),
    ],
)
def test_summary(octets: bytes, sender: str, subject: str) -> None:
    """A list shows the first sender and the subject as mail programs do."""
    found = message.summary(octets)
    assert (found.sender, found.subject) == (sender, subject)


def test_huge_header() -> None:
    """Of a header of 5 MB the beginning is read, and the body after it is found."""
    octets = b"Subject: x\r\nX: " + b"a" * 5_000_000 + b"\r\nTo: b\r\n\r\nbody"
    header = fields.split(octets)
    assert octets[header.body :] == b"body"
    assert sum(len(field.octets) for field in header.fields) <= fields.MAX_OCTETS
    many = fields.split(b"X: a\r\n" * 40_000)
    assert len(many.fields) == fields.MAX_FIELDS
