"""Content-Transfer-Encoding: a part's octets as they were before the mail. RFC 2045 section 6."""

from __future__ import annotations

import binascii
import re

from restante.mail.encoded_words import base64_run

_RUN = re.compile(rb"[^=]+")  # of base64, up to its padding
_BEGIN = re.compile(rb"(?:\A|[\r\n])begin [^\r\n]*")
_NEXT_LINE = re.compile(rb"(?:\r\n|\r|\n)([^\r\n]*)")
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/= \t\r\n"


def decode(octets: bytes, encoding: str) -> bytes:
    """Return the decoded octets; unchanged, if the encoding is unknown."""
    match encoding.strip().lower():
        case "base64":
            return _base64(octets)
        case "quoted-printable":
            return binascii.a2b_qp(octets)
        case "x-uuencode" | "uuencode" | "x-uue" | "uue":
            return _decode_uuencode(octets)
        case _:
            return octets


def _base64(octets: bytes) -> bytes:
    """Return what base64 says. Behind the padding it goes on only where nothing else follows."""
    first_run, padding, remainder = octets.partition(b"=")
    remainder = remainder.lstrip(b"= \t\r\n")
    if (
        padding
        and remainder
        and not remainder.translate(None, _ALPHABET)
        and _has_whole_groups(remainder)
    ):
        decoded = bytearray()
        for run in _RUN.finditer(octets):  # a list of them would take sixty times the octets
            decoded += base64_run(run[0])
        return bytes(decoded)
    return base64_run(first_run)


def _has_whole_groups(octets: bytes) -> bool:
    """Return whether base64 has whole groups of four characters."""
    return len(octets.translate(None, b" \t\r\n")) % 4 == 0


def _decode_uuencode(octets: bytes) -> bytes:
    """Return what uuencode says between its lines `begin` and `end`."""
    begin = _BEGIN.search(octets)
    if begin is None:
        return octets
    decoded = bytearray()
    for match in _NEXT_LINE.finditer(octets, begin.end()):
        line = match[1]
        if line.strip() in (b"end", b"`", b""):
            break
        try:
            decoded += binascii.a2b_uu(line)
        except binascii.Error:  # a line with blanks too many: its first octet says how long it is
            length = ((((line[0] - 32) & 63) + 2) // 3) * 4 + 1
            try:
                decoded += binascii.a2b_uu(line[:length])
            except binascii.Error:
                break
    return bytes(decoded) or octets
