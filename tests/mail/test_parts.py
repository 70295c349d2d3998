"""Parts: what is in a message, octet for octet."""

from __future__ import annotations

import time
import tracemalloc

import pytest

from restante.mail import message, parameters, parts, transfer

BOUNCE = (
    b"Content-Type: multipart/report; boundary=r\r\n\r\n--r\r\n\r\nIt failed.\r\n"
    b"--r\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; x\r\n\r\nStatus: 5.1.1\r\n"
    b'--r\r\nContent-Type: message/rfc822; name="first.eml"\r\n\r\nSubject: first\r\n'
    b"Content-Type: multipart/mixed; boundary=i\r\n\r\n--i\r\n\r\ninner\r\n--i--\r\n\r\n--r--\r\n"
)


def described(octets: bytes) -> list[tuple[str, bytes]]:
    """Return types and contents."""
    return [(part.type, part.content) for part in message.read(octets).parts]


def test_bounce() -> None:
    """A message in a message is one part, and the status of a bounce is shown."""
    found = message.read(BOUNCE)
    assert [part.type for part in found.parts] == [
        "text/plain",
        "message/delivery-status",
        "message/rfc822",
    ]
    assert found.parts[2].content.startswith(b"Subject: first\r\n")
    assert found.parts[2].content.endswith(b"--i--\r\n")
    assert [text.text.split()[0] for text in found.texts()] == ["It", "Reporting-MTA:"]
    assert [part.name for part in found.attachments()] == ["first.eml"]


@pytest.mark.parametrize(
    ("encoding", "octets", "content"),
    [
        (b"base64", b"SGVs\r\nbG8=\r\n", b"Hello"),
        (b"BASE64 ", b"SGVsbG8", b"Hello"),
        (b"base64", b"SG!VsbG8=\r\n-- \r\na footer", b"Hello"),
        (b"base64", b"SGk=\r\nSGk=\r\n", b"HiHi"),
        (b"base64", b"!!!!", b""),
        (b"quoted-printable", b"a=C3=A9=\r\nb=zz", b"a\xc3\xa9b=zz"),
        (b"x-uuencode", b"begin 644 a\r\n#0V%T\r\n`\r\nend\r\n", b"Cat"),
        (b"x-uuencode", b"begin 644 a\r\n#0V%T\r\n~~\r\n#0V%T\r\n", b"Cat"),
        (b"8bit", b"\xff\r\n", b"\xff\r\n"),
        (b"strange", b"=41", b"=41"),
    ],
)
def test_transfer(encoding: bytes, octets: bytes, content: bytes) -> None:
    """A part's content is transfer-decoded, and nothing else."""
    head = b"Content-Transfer-Encoding: " + encoding + b"\r\n\r\n"
    assert message.read(head + octets).parts[0].content == content


def test_alternatives() -> None:
    """Plain text goes before HTML, unless it is blank."""
    form = (
        b"Content-Type: multipart/alternative; boundary=b\n\n--b\n\n%s\n"
        b"--b\nContent-Type: text/html\n\n<p>page\n--b--\n"
    )
    assert [text.text for text in message.read(form % b"text").texts()] == ["text"]
    assert [text.text for text in message.read(form % b" ").texts()] == ["page"]


@pytest.mark.parametrize(
    "octets",
    [
        b"Content-Type: multipart/mixed\n\nno boundary\n",
        b"Content-Type: multipart/mixed; boundary=b\n\nit never comes\n",
        b"Content-Type: multipart/mixed; boundary=\n\nit is empty\n",
        b"just text, and no header at all",
    ],
)
def test_no_parts(octets: bytes) -> None:
    """A message without parts is one part."""
    (part,) = message.read(octets).parts
    assert part.content == octets.partition(b"\n\n")[2] or octets == part.content


def test_boundaries() -> None:
    """Boundaries end with blanks, hold colons, are missing at the end, and come inside of others."""
    assert described(
        b"Content-Type: multipart/mixed; boundary=a:b\n\n--a:b \n\n1\n--a:b\n\n2\n"
    ) == [
        ("text/plain", b"1"),
        ("text/plain", b"2\n"),
    ]
    nested = (
        b"Content-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: multipart/mixed; boundary=i\n\n"
        b"--i\n\n1\n--o\n\n2\n--o--\n--i\n"
    )
    assert [content for _, content in described(nested)] == [b"1", b"2"]
    headless = b"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: image/png\n--b--\n"
    assert described(headless) == [("image/png", b"")]


def test_digest() -> None:
    """A part of a digest is a message where it declares nothing else. RFC 2046 section 5.1.5."""
    octets = b"Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: x\n\ny\n--b--\n"
    assert described(octets) == [("message/rfc822", b"Subject: x\n\ny")]


def test_bounds() -> None:
    """Parts in parts, many parts and many boundaries cost no more than their octets."""
    opened = b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n"
    deep = b"".join(opened % (n, n) for n in range(3000)) + b"\nhello"
    many = b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\n" * 200_000
    same = b"Content-Type: multipart/mixed; boundary=b\n\n--b\n" * 3000
    lines = b"Content-Type: multipart/mixed; boundary=b\n\n" + b"\n--" * 1_000_000
    begun = time.process_time()
    for octets in (deep, many, same, lines):
        assert 1 <= len(message.read(octets).parts) <= parts.MAX_PARTS
    named = b"text/plain" + b"".join(b"; a%d=b" % number for number in range(1000))
    assert len(parameters.parse(named)[1]) == parameters.MAX_PARAMETERS
    assert time.process_time() - begun < 20
    assert message.read(deep).parts[0].content.endswith(b"hello")


@pytest.mark.parametrize("label", [b"koi8-r", b'"koi8-r (Cyrillic)"'])
def test_charset(label: bytes) -> None:
    """A text has the charset that its part declares, whatever follows its name."""
    found = message.read(b"Content-Type: text/plain; charset=" + label + b"\r\n\r\n\xf0\xf2")
    assert [text.text for text in found.texts()] == ["ПР"]


def test_a_multipart_without_boundary_is_text() -> None:
    """A message whose parts cannot be separated is read as one text."""
    found = message.read(b"Content-Type: multipart/mixed\r\n\r\nread me\r\n")
    assert [text.text.strip() for text in found.texts()] == ["read me"]


@pytest.mark.parametrize(
    ("header", "count"),
    [
        (b"--b\r\na: " + b"x" * 270_000 + b"\n\n", 300),  # over 256 KiB, without CR LF CR LF
        (b"--b\n" + b"a:\n" * 90_000 + b"\n", 60),  # over 1000 fields
    ],
    ids=["long", "many fields"],
)
def test_headers_beyond_their_limits(header: bytes, count: int) -> None:
    """Many parts whose headers are not read to their end cost time by their octets alone."""
    octets = b"Content-Type: multipart/mixed; boundary=b\n\n" + header * count
    begun = time.process_time()
    assert len(message.read(octets).parts) == count
    assert time.process_time() - begun < 4


@pytest.mark.parametrize(
    ("encoding", "before", "piece"),
    [("base64", b"", b"QQ=="), ("x-uuencode", b"begin 644 a\n", b"#0V%T\n"), ("uue", b"", b"ab\n")],
    ids=["base64", "uuencode", "without begin"],
)
def test_memory_of_transfer(encoding: str, before: bytes, piece: bytes) -> None:
    """Many short lines or runs take memory for their octets, and not for as many objects."""
    octets = before + piece * (1_000_000 // len(piece))
    tracemalloc.start()
    try:
        transfer.decode(octets, encoding)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 5 * len(octets)
