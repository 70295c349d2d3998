"""Names of files: as the sender meant them, and fit for a folder."""

from __future__ import annotations

import pytest

from restante.mail import message, parameters
from restante.mail.filename import add_number, safe_name


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (b'attachment; filename="a b.pdf"', "a b.pdf"),
        (b"attachment; filename=my report (1).pdf", "my report (1).pdf"),
        (b"attachment; filename=\"x.pdf\"; filename*=utf-8''%e2%82%ac.pdf", "€.pdf"),
        (b"attachment; filename*=utf-8''%e2%82%ac.pdf; filename=x.pdf", "€.pdf"),
        (b"attachment; filename*0*=utf-8''%e2%82; filename*1*=%ac; filename*2=.pdf", "€.pdf"),
        (b"attachment; filename*2=c; filename*0=a; filename*1=b", "abc"),
        (b"attachment; filename*=gb2312'zh'%C3%F7.txt", "明.txt"),
        (b"attachment; filename*=idna''%80.pdf", "€.pdf"),
        (b'attachment; filename="=?utf-8?b?4oKs?=.pdf"', "€.pdf"),
        (b'attachment; filename="\xe2\x82\xac.pdf"', "€.pdf"),
        (b"attachment; filename=caf\xe9.pdf", "café.pdf"),
        (b'attachment; filename="C:\\dir\\a \\"b\\".txt"', 'C:\\dir\\a "b".txt'),
        (b'attachment; filename="open', "open"),
        (b"attachment;filename=a.txt;", "a.txt"),
        (b"attachment; filename", ""),
        (b"attachment; filename*", ""),
    ],
)
def test_parameter(value: bytes, name: str) -> None:
    """A name is read by RFC 2231 and RFC 6266, and as other programs write it."""
    assert parameters.parse(value)[1].get("filename", "") == name
    octets = b"Content-Disposition: " + value + b"\r\n\r\nx"
    assert message.read(octets).parts[0].name == name


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("../../bill.pdf", "bill.pdf"),
        ("C:\\dir\\bill.pdf", "bill.pdf"),
        ("..", "attachment"),
        ("", "attachment"),
        ("/", "attachment"),
        (".profile", "profile"),
        ("-rf", "_rf"),
        ("con.txt", "_con.txt"),
        ("a\x00b\n\x1b[2Jc\u202etxt.exe", "ab [2Jctxt.exe"),
        ("what? a:b|c*.pdf", "what_ a_b_c_.pdf"),
        ("bill.pdf. . ", "bill.pdf"),
        ("a\udc80b", "ab"),
    ],
)
def test_safe(name: str, safe: str) -> None:
    """A name leads to no other folder, hides nothing, and is neither an option nor a device."""
    assert safe_name(name) == safe


@pytest.mark.parametrize("name", ["漢" * 110 + ".pdf", "a" * 300 + ".pdf", "é" * 300 + ".tar.gz"])
def test_long(name: str) -> None:
    """A long name is cut in octets, before its extension, with room for a number."""
    safe = safe_name(name)
    assert len(add_number(safe, 999).encode()) <= 255
    assert safe.endswith(name.partition(".")[1] + name.partition(".")[2])


def test_numbered() -> None:
    """A number stands before the extension."""
    assert add_number("bill.pdf", 2) == "bill (2).pdf"
    assert add_number("a.tar.gz", 3) == "a (3).tar.gz"
    assert add_number("README", 2) == "README (2)"
