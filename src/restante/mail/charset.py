"""Text out of octets: by the declared label, then as UTF-8, then as windows-1252.

Labels are those of the WHATWG Encoding Standard, section 4.2, as browsers and mail programs read
them: `gb2312` means gb18030, `iso-8859-1` means windows-1252. Other labels count as none, so no
codec of Python other than a charset is ever run.
"""

from __future__ import annotations

import codecs
import functools
import re

LONGEST_LABEL = 80  # characters
FEW = 20  # one invalid octet in this many does not mean another charset

_PYTHON = {
    "big5": "big5hkscs",
    "euc-kr": "cp949",
    "gbk": "gb18030",
    "iso-8859-8-i": "iso-8859-8",
    "macintosh": "mac-roman",
    "shift_jis": "cp932",
    "windows-874": "cp874",
    "x-mac-cyrillic": "mac-cyrillic",
}  # Python's codec where its name, or its table, is another one
_WIDE = {"utf-8", "big5", "euc-kr", "gbk", "gb18030", "shift_jis", "euc-jp", "iso-2022-jp"}
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16le"), (b"\xfe\xff", "utf-16be"))
_CONTROLS = {0xDC00 + octet: octet for octet in range(0x80, 0xA0)}
_USER = {octet: 0xF700 + octet for octet in range(0x80, 0x100)}
_SURROGATE = re.compile("[\udc80-\udcff]")
_ESCAPE = re.compile(rb"\x1b(\([BJI]|\$[@B]|\$\(D)")


def name_of(label: str) -> str:
    """Return the standard's name of a label's encoding, "" where the standard has no such label."""
    from webencodings.labels import LABELS

    if len(label) > LONGEST_LABEL or not label.isascii():
        return ""
    name = LABELS.get(label.strip("\t\n\f\r ").lower(), "")
    return "" if name == "replacement" else str(name)


def decode(octets: bytes, label: str = "", *, cut: bool = False) -> str:
    """Return the text of octets whose sender declared this label. Raises nothing.

    With `cut` the octets may end within a character, which is left out then. A label for ASCII is
    believed for ASCII only: much mail declares it, and sends UTF-8.
    """
    if octets.isascii() and not label:
        return octets.decode("ascii")
    name, octets = _detect_mark(octets, name_of(label))
    names = [name] if name and not _is_ascii_label(label) else []
    for encoding in (*names, "utf-8"):
        text = _decode_strictly(octets, encoding, cut=cut)
        if text is not None:
            return text
    if name in _WIDE or name == "":
        text = octets.decode(_PYTHON.get(name, name or "utf-8"), "replace")
        invalid = text.count("\ufffd")
        wide = len(text) - len(text.encode("ascii", "ignore")) - invalid
        if wide > invalid * FEW:
            return text
    return _decode_strictly(octets, "windows-1252", cut=False) or ""


def _detect_mark(octets: bytes, name: str) -> tuple[str, bytes]:
    """Return the encoding of a byte order mark, and the octets after it."""
    for mark, marked in _MARKS:
        if octets.startswith(mark) and (name in ("", "utf-8", marked) or name.startswith("utf-16")):
            return marked, octets[len(mark) :]
    return name, octets


def _is_ascii_label(label: str) -> bool:
    return "ascii" in label.lower() or label.strip().lower().startswith("ansi_x3.4")


def _decode_strictly(octets: bytes, name: str, *, cut: bool) -> str | None:
    """Return the text, None where the octets are not of that encoding."""
    if name == "x-user-defined":
        return octets.decode("latin-1").translate(_USER)
    try:
        if name in ("iso-2022-jp", "euc-jp"):
            return _japanese(octets, name)
        if name in _WIDE or name.startswith("utf-16"):
            decoder = codecs.getincrementaldecoder(_PYTHON.get(name, name))()
            return decoder.decode(octets, final=not cut)
        text = octets.decode(_codec(name), "surrogateescape")
    except (UnicodeError, LookupError):
        return None
    text = text.translate(_CONTROLS) if not text.isascii() else text
    return None if _SURROGATE.search(text) else text


@functools.cache
def _codec(name: str) -> str:
    return codecs.lookup(_PYTHON.get(name, name)).name


def _japanese(octets: bytes, name: str) -> str:
    """Return Japanese text, with the characters of NEC and IBM that mail is full of.

    The rows of JIS X 0208 are the same in all three encodings, and cp932 has those additions.
    Raises UnicodeError.
    """
    if name == "euc-jp":
        try:
            return octets.decode("euc_jp")
        except UnicodeError:
            return "".join(_euc_pieces(octets))
    text, place, charset = [], 0, b"(B"
    for escape in (*_ESCAPE.finditer(octets), None):
        piece = octets[place : escape.start() if escape else len(octets)]
        text.append(_jis(piece, charset))
        if escape:
            place, charset = escape.end(), escape[1]
    return "".join(text)


def _euc_pieces(octets: bytes) -> list[str]:
    """Return EUC-JP by runs of characters of two octets, which cp932 knows more of."""
    pieces = re.split(rb"((?:[\xa1-\xfe][\xa1-\xfe])+)", octets)
    return [
        _jis(bytes(c & 0x7F for c in piece), b"$B") if place % 2 else piece.decode("euc_jp")
        for place, piece in enumerate(pieces)
    ]


def _jis(octets: bytes, charset: bytes) -> str:
    """Return the text of octets of 7 bits in a charset of ISO 2022. Raises UnicodeError."""
    if charset in (b"(B", b"(J"):
        return octets.decode("ascii")
    if charset == b"(I":
        return bytes(c | 0x80 for c in octets).decode("cp932")
    if charset == b"$(D":
        return (b"\x1b$(D" + octets).decode("iso2022_jp_1")
    shifted = bytearray()
    plain = octets.replace(b"\r", b"").replace(b"\n", b"")
    if len(plain) % 2:
        raise UnicodeDecodeError("iso2022_jp", octets, len(octets) - 1, len(octets), "half")
    for first, second in zip(plain[::2], plain[1::2], strict=True):
        row = (first - 0x21) // 2 + 0x81
        shifted.append(row + 0x40 * (row > 0x9F) & 0xFF)
        low = second + (0x1F + (second >= 0x60) if first % 2 else 0x7E)
        shifted.append(low & 0xFF)
    return shifted.decode("cp932")
