"""Content-Type and Content-Disposition: a value and its parameters.

RFC 2045 section 5.1, RFC 2231 and RFC 6266, read as mail programs read them: unquoted values may
have blanks, a name may have encoded words, and `filename*` goes before `filename`.
"""

from __future__ import annotations

import re
import urllib.parse

from restante.mail import charset, encoded_words

MAX_PARAMETERS = 500  # of a field, pieces of one counted each
LONGEST_VALUE = 4096  # characters of a parameter's value

_VALUE = re.compile(r"[ \t]*([^\s;()]*)")
_BETWEEN = re.compile(r"[\s;]*")
_PARAMETER = re.compile(r"([^\s=;]{1,100})[ \t]*=[ \t]*")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"?', re.DOTALL)
_ESCAPED = re.compile(r'\\(["\\])')
_PIECE = re.compile(r"([^*]+)\*(?:([0-9]{1,3})(\*)?)?")


def parse(octets: bytes) -> tuple[str, dict[str, str]]:
    """Return a field's value in lower case, and its parameters by name in lower case."""
    text = octets.decode("latin-1")
    match = _VALUE.match(text)
    value = match[1] if match else ""
    plain_values: dict[str, str] = {}
    pieces: dict[str, dict[int, tuple[bool, str]]] = {}
    for name, raw in _pairs(text[match.end() if match else 0 :]):
        piece = _PIECE.fullmatch(name)
        if piece:
            coded = piece[2] is None or piece[3] is not None
            pieces.setdefault(piece[1], {}).setdefault(int(piece[2] or 0), (coded, raw))
        else:
            plain_values.setdefault(name, raw)
    parameters = {name: _decode(raw) for name, raw in plain_values.items()}
    parameters |= {name: _join(match) for name, match in pieces.items()}
    return value.lower(), {name: text[:LONGEST_VALUE] for name, text in parameters.items()}


def _pairs(text: str) -> list[tuple[str, str]]:
    """Return names and values as they are written, without quotes."""
    pairs: list[tuple[str, str]] = []
    place = 0
    while place < len(text) and len(pairs) < MAX_PARAMETERS:
        between = _BETWEEN.match(text, place)
        place = between.end() if between else place
        match = _PARAMETER.match(text, place)
        if match is None:
            place = _after_semicolon(text, place)
            continue
        quoted = _QUOTED.match(text, match.end())
        if quoted:
            raw = _ESCAPED.sub(r"\1", quoted[1])
            place = _after_semicolon(text, quoted.end())
        else:
            place = _after_semicolon(text, match.end())
            raw = text[match.end() : place].rstrip("; \t")
        pairs.append((match[1].lower(), raw))
    return pairs


def _after_semicolon(text: str, place: int) -> int:
    """Return the place after the next semicolon."""
    return text.find(";", place) + 1 or len(text)


def _decode(raw: str) -> str:
    return encoded_words.decode(raw.encode("latin-1"))


def _join(pieces: dict[int, tuple[bool, str]]) -> str:
    """Return the value that was sent in pieces: RFC 2231 sections 3 and 4."""
    label, octets = "", b""
    first_number = min(pieces)
    for number in range(first_number, first_number + len(pieces)):
        if number not in pieces:
            break
        coded, raw = pieces[number]
        if coded and number == first_number and raw.count("'") >= 2:
            label, _, raw = raw.split("'", 2)
        octets += urllib.parse.unquote_to_bytes(raw) if coded else raw.encode("latin-1")
    return charset.decode(octets, label)
