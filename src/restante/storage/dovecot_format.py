"""How Dovecot makes a unique-id: its setting `pop3_uidl_format`, in the forms of 2.3 and of 2.4.

Dovecot 2.3 writes `%08Xu%08Xv`: an offset, a width, modifiers and a variable of one letter. Dovecot
2.4 writes `%{uid | hex(8)}%{uidvalidity | hex(8)}`: a variable and filters. What is made here is
what Dovecot sends, octet for octet, even where it is longer than RFC 1939 section 7 allows.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LONGEST_FORMAT = 500  # characters
MAX_UINT32 = 2**32 - 1  # a UID or a UIDVALIDITY
MAX_WIDTH = 500  # characters

NAMES = {"u": "uid", "v": "uidvalidity", "m": "md5", "f": "filename", "g": "guid"}
SAVE = (
    "Set pop3_save_uidl = yes in Dovecot, let each client log in once, and write %08Xu%08Xv here: "
    "Dovecot has then stored every unique-id in dovecot-uidlist, if the mail is in a Maildir"
)

_OLD = re.compile(
    r"%(?P<sign>-?)(?P<zero>0?)(?P<width>[0-9]*)"
    r"(?P<dot>\.(?P<zero2>0?)(?P<sign2>-?)(?P<width2>[0-9]*))?"
    r"(?P<modifiers>[LUEXRHNMDT]{0,10})(?P<key>[uvmfg%])"
)
_NEW = re.compile(r"%\{(?P<expression>[^{}]*)\}")
_FILTER = re.compile(
    r"[ \t]*(?P<name>[a-z0-9]+)[ \t]*(?:\([ \t]*(?P<number>-?[0-9]*)[ \t]*\))?[ \t]*"
)
_HASHES = frozenset({"md5", "sha1", "sha256", "sha384", "sha512"})
_ESCAPED = re.compile(rb"([\"'\\])")
_WHOLE = frozenset({"M", "R", "E", "reverse", "hexlify", *_HASHES})
"""The modifiers that make different texts of different texts."""

_PLACES = {"uid": 0, "uidvalidity": 1}


class FormatValues(NamedTuple):
    """The values of a message that a format of Dovecot may use."""

    uid: int = 0
    uidvalidity: int = 0
    filename: bytes = b""  # the base name of its file in a Maildir
    guid: bytes = b""  # in a Maildir the base name too, unless dovecot-uidlist has another one
    md5: bytes = b""  # of its header, in hex: an mbox only


class Variable(NamedTuple):
    """One variable of a format, with all that is done to its value."""

    name: str  # a field of FormatValues
    offset: int = 0  # octets
    width: int = 0  # octets
    pad: bool = False  # with zeros to the width, instead of cutting there
    modifiers: tuple[str, ...] = ()
    numbers: tuple[int | None, ...] = ()  # the argument of each filter

    @property
    def whole(self) -> bool:
        """Whether two values never look the same."""
        cut = self.offset or (self.width and not self.pad) or any(self.numbers)
        return not cut and _WHOLE.issuperset(self.modifiers)

    def __call__(self, message: FormatValues) -> bytes:
        """Return its text for a message."""
        value = getattr(message, self.name)
        text = value if isinstance(value, bytes) else b"%d" % value
        if self.numbers:
            return self._filter(text)
        offset, width = self.offset, self.width
        for modifier in self.modifiers:
            if modifier in "HN":  # these take the width as a modulus, and the offset as a width
                text = (b"%x" % _hash(modifier, text, width)).rjust(offset, b"0")
                offset = width = 0
            else:
                text = _MODIFIERS[modifier](text)
        text = text[offset:] if offset >= 0 or len(text) > -offset else text
        if self.pad or not width:
            return text.rjust(width, b"0")
        end = width if width > 0 else len(text) + width
        return text[:end] if end >= 0 else text

    def _filter(self, text: bytes) -> bytes:
        binary = False
        for name, number in zip(self.modifiers, self.numbers, strict=True):
            if name in _HASHES:
                text, binary = hashlib.new(name, text, usedforsecurity=False).digest(), True
            elif name == "hexlify":
                width = number or 0
                text, binary = text.hex().encode(), False
                text = text.rjust(width, b"0")[: width or None]
            elif name == "hex":
                text = _as_hex(text, number or 0)
            else:
                text = _MODIFIERS[_FILTERS[name]](text)
        return text.hex().encode() if binary else text


def _as_hex(text: bytes, width: int) -> bytes:
    digits = b"%x" % int(text)
    if width < 0:
        return digits.ljust(-width, b"0")[:-width]
    return digits.rjust(width, b"0")[-width or None :]


def _number(text: bytes) -> int:
    number = int(text) if text.isdigit() and len(text) <= 20 else 0
    return number if number < 2**64 else 0


def _hash(kind: str, text: bytes, modulus: int) -> int:
    if kind == "N":
        digest = hashlib.md5(text, usedforsecurity=False).digest()
        value = int.from_bytes(digest[:8])
        return (value % (modulus % 2**64) if modulus else value) & MAX_UINT32
    value = 0  # of 28 bits: what is shifted out of them comes back at bit 4
    for octet in text:
        value = (value << 4) + octet
        value = value & 0x0FFFFFFF ^ value >> 24 & 0xF0
    return value % (modulus & MAX_UINT32) if modulus else value


_MODIFIERS: dict[str, Callable[[bytes], bytes]] = {
    "L": bytes.lower,
    "U": bytes.upper,
    "E": lambda text: _ESCAPED.sub(rb"\\\1", text),
    "X": lambda text: b"%x" % _number(text),
    "R": lambda text: text[::-1],
    "M": lambda text: hashlib.md5(text, usedforsecurity=False).hexdigest().encode(),
    "D": lambda text: text.replace(b".", b",dc="),
    "T": lambda text: text.rstrip(b" \t\n\v\f\r"),
}
_FILTERS = {"lower": "L", "upper": "U", "reverse": "R"}


class DovecotFormat:
    """Makes the unique-ids that Dovecot makes with this `pop3_uidl_format`.

    Raises ValueError: it cannot be followed, or Dovecot does not accept it either.
    """

    def __init__(self, text: str) -> None:
        if len(text) > LONGEST_FORMAT or not text.isascii() or not text.isprintable():
            raise ValueError(f"Expected at most {LONGEST_FORMAT} printable ASCII characters")
        self._parts = list(_parts(text))
        variables = [part for part in self._parts if isinstance(part, Variable)]
        if not any(variable.name != "uidvalidity" for variable in variables):
            raise ValueError(
                "Expected what Dovecot's pop3_uidl_format is, such as %08Xu%08Xv, with at least "
                "one of %u, %f, %g and %m: else all messages would have one unique-id"
            )
        if any(" " in part for part in self._parts if isinstance(part, str)):
            raise ValueError(
                "Expected no space between the variables, because a unique-id has none"
            )
        self._template = _template(self._parts)
        names = {variable.name for variable in variables}
        self.by_name = names <= {"filename", "guid"} and any(v.whole for v in variables)
        """Whether the name of its file alone gives a message a unique-id of its own."""

    def __call__(self, message: FormatValues) -> str:
        """Return a message's unique-id, whatever its length and characters."""
        if self._template is not None:
            return self._template.format(message.uid, message.uidvalidity)
        return b"".join(
            part.encode() if isinstance(part, str) else part(message) for part in self._parts
        ).decode("latin-1")


def _template(parts: list[str | Variable]) -> str | None:
    """Return the format as Python has it, where it has numbers only: a list may be long."""
    texts = []
    for part in parts:
        if isinstance(part, str):
            texts.append(part.replace("{", "{{").replace("}", "}}"))
        elif part.name in _PLACES and part.modifiers in {(), ("X",)} and not part.offset:
            if part.width and not part.pad:
                return None
            kind = "x" if part.modifiers else "d"
            texts.append(f"{{{_PLACES[part.name]}:0{part.width}{kind}}}")
        else:
            return None
    return "".join(texts)


def _parts(text: str) -> Iterator[str | Variable]:
    """Return a format's variables, and the texts between them. Raises ValueError."""
    pattern = _OLD if _OLD.search(text) or "%{" not in text else _NEW
    end = 0
    for match in pattern.finditer(text):
        yield _literal(text[end : match.start()])
        end = match.end()
        if pattern is _NEW:
            yield _parse_new_variable(match["expression"])
        elif match["key"] == "%":
            yield "%"
        else:
            yield _parse_old_variable(match)
    yield _literal(text[end:])


def _literal(text: str) -> str:
    if "%" in text:
        raise ValueError(
            f"Not known to Dovecot, or not supported: {text[text.index('%') :]}. {SAVE}"
        )
    return text


def _parse_old_variable(match: re.Match[str]) -> Variable:
    """Return a variable in the form of Dovecot 2.3: %[[-]OFFSET.][-][0][WIDTH][MODIFIERS]NAME."""
    first, second = int(match["width"] or 0), int(match["width2"] or 0)
    if max(first, second) > MAX_WIDTH and not set("HN") & set(match["modifiers"]):
        raise ValueError(f"Expected a width of at most {MAX_WIDTH}")
    offset, width = 0, first
    if match["dot"]:
        offset = -first if match["sign"] else first
        width = -second if match["sign2"] else second
    pad = bool(match["zero2"] if match["dot"] else match["zero"])
    return Variable(NAMES[match["key"]], offset, width, pad, tuple(match["modifiers"]))


def _parse_new_variable(expression: str) -> Variable:
    """Return a variable in the form of Dovecot 2.4: %{NAME | FILTER | FILTER(NUMBER)}."""
    name, *filters = (part.strip(" \t") for part in expression.split("|"))
    matches = [_FILTER.fullmatch(text) for text in filters]
    known_filters = {"hex", "hexlify", *_HASHES, *_FILTERS}
    if name not in NAMES.values() or not all(
        match and match["name"] in known_filters for match in matches
    ):
        raise ValueError(
            f"Not supported: %{{{expression}}}. Supported are {', '.join(NAMES.values())}, and the "
            f"filters {', '.join(sorted(known_filters))}. {SAVE}"
        )
    modifiers = tuple(match["name"] for match in matches if match)
    numbers = tuple(int(match["number"] or 0) for match in matches if match)
    if any(abs(number) > MAX_WIDTH for number in numbers):
        raise ValueError(f"Expected a width of at most {MAX_WIDTH}")
    is_number = name in {"uid", "uidvalidity"}
    if "hex" in modifiers[1:] or (modifiers[:1] == ("hex",) and not is_number):
        raise ValueError(f"Only a number has hex(): %{{{expression}}}. For texts there is hexlify")
    return Variable(name, modifiers=modifiers, numbers=numbers)
