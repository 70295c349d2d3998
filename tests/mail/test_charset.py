"""Charsets: each label of the WHATWG table, and other labels."""

from __future__ import annotations

import pytest
from webencodings.labels import LABELS

from restante.mail import charset

PYTHON = {
    "big5": "big5hkscs",
    "euc-kr": "cp949",
    "iso-8859-8-i": "iso-8859-8",
    "macintosh": "mac-roman",
    "shift_jis": "cp932",
    "windows-874": "cp874",
    "x-mac-cyrillic": "mac-cyrillic",
}
TEXTS = {
    "big5": "漢字",
    "euc-jp": "日本語",
    "euc-kr": "한국어 뷁",
    "gb18030": "汉字",
    "gbk": "汉字",
    "ibm866": "Привет",
    "iso-2022-jp": "日本語",
    "iso-8859-10": "ąč",
    "iso-8859-13": "ąč",
    "iso-8859-14": "Ŵ",
    "iso-8859-16": "Ș",
    "iso-8859-2": "Łódź",
    "iso-8859-3": "Ĉ",
    "iso-8859-4": "ąč",
    "iso-8859-5": "Привет",
    "iso-8859-6": "مرحبا",
    "iso-8859-7": "Ελλ",
    "iso-8859-8": "שלום",
    "iso-8859-8-i": "שלום",
    "koi8-r": "Привет",
    "koi8-u": "Привіт",
    "shift_jis": "日本語①㈱",
    "utf-16be": "é日",
    "utf-16le": "é日",
    "utf-8": "é日",
    "windows-1250": "Łódź",
    "windows-1251": "Привет",
    "windows-1253": "Ελλ",
    "windows-1254": "ığ",
    "windows-1255": "שלום",
    "windows-1256": "مرحبا",
    "windows-1257": "ąč",
    "windows-1258": "ăđ",
    "windows-874": "สวัสดี",
    "x-mac-cyrillic": "Привет",
}
SPECIAL = ("replacement", "x-user-defined")


@pytest.mark.parametrize("label", [label for label, name in LABELS.items() if name not in SPECIAL])
def test_label(label: str) -> None:
    """Each label, in any case, decodes what its encoding encodes."""
    name = LABELS[label]
    text = TEXTS.get(name, "éü")
    octets = text.encode(PYTHON.get(name, name))
    assert charset.decode(octets, label) == text
    assert charset.decode(octets, f" {label.upper()} ") == text


@pytest.mark.parametrize(
    "label",
    [label for label, name in LABELS.items() if name == "replacement"]
    + [
        "base64",
        "rot13",
        "zlib",
        "hex",
        "bz2",
        "idna",
        "punycode",
        "unicode_escape",
        "utf-7",
        "utf-32",
        "undefined",
        "x\x00y",
        "é",
    ],
)
def test_no_charset(label: str) -> None:
    """A label that does not name a charset of mail is ignored: UTF-8, then windows-1252."""
    assert charset.decode(b"+AGE- \\x41 \xc3\xa9", label) == "+AGE- \\x41 é"
    assert charset.decode(b"+AGE- \\x41 \xe9", label) == "+AGE- \\x41 é"


@pytest.mark.parametrize(
    ("octets", "label", "text"),
    [
        (b"caf\xe9", "utf-8", "café"),
        (b"caf\xc3\xa9", "us-ascii", "café"),
        (b"caf\xe9", "us-ascii", "café"),
        (b"\x80 \x81", "iso-8859-1", "€ \x81"),
        (b"\xff\xfeA\0", "utf-16", "A"),
        (b"\xfe\xff\0A", "utf-16", "A"),
        (b"\xef\xbb\xbfA", "", "A"),
        (b"a\x80\xff", "x-user-defined", "a\uf780\uf7ff"),
        (b"\x1b$B-!\x1b(B \x1b(I1\x1b(B", "iso-2022-jp", "① ｱ"),
        (b"\xad\xa1\xc6\xfc", "euc-jp", "①日"),
        (b"\x95\x32\x82\x36", "gb2312", "𠀀"),
        ("é".encode() * 30 + b"\xff", "utf-8", "é" * 30 + "\ufffd"),
    ],
)
def test_decoded(octets: bytes, label: str, text: str) -> None:
    """Labels are believed where the octets bear them out; one odd octet spoils no text."""
    assert charset.decode(octets, label) == text


def test_cut() -> None:
    """A text that was cut within a character is still a text of its charset."""
    assert charset.decode("日本".encode()[:-1], "utf-8", cut=True) == "日"
