"""A header in UTF-8 written in ASCII, for clients that did not ask for UTF-8. RFC 6856 section 2.

Texts and names become encoded words (RFC 2047), parameters of MIME fields are written as RFC 2231
has it, and addresses that cannot be written in ASCII are taken out (RFC 6858). What is in ASCII
stays as it is, octet for octet. Where no rule fits, each character beyond ASCII becomes "?".
"""

from __future__ import annotations

import re
from email import policy
from email.errors import HeaderParseError
from email.header import Header
from email.utils import getaddresses, quote

_ADDRESSES = re.compile(rb"(?:resent-)?(?:from|sender|reply-to|to|cc|bcc)")
_MIME = frozenset({b"content-type", b"content-disposition"})
_STRUCTURED = re.compile(
    rb"(?:resent-)?(?:date|message-id)|in-reply-to|references|received(?:-spf)?|return-path"
    rb"|delivered-to|mime-version|content-(?:id|transfer-encoding|language|location)|errors-to"
    rb"|dkim-signature|authentication-results|arc-.*|list-(?:unsubscribe.*|post|help|archive|owner)"
)
"""Fields in which no encoded word may stand."""

LONGEST_PART = 1000  # characters of an address, or of a MIME field, that are read at all
MAX_PARSED = 128 * 1024  # octets of all fields of a header together that are read by rules
LINE = 76  # characters

# A sender decides how often something is repeated, so it is possessive ("*+"): no place to go back
# to is kept. Before Python 3.11.5, all that is repeated within must be possessive, too.
_FIELD = re.compile(rb"[^\n]*+\n?+(?:[ \t][^\n]*+\n?+)*+")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*+"?+')  # to the end, where it is not closed
_ADDRESS = re.compile(rf'(?:{_QUOTED.pattern}|[^,"])++')
_PLAIN_PHRASE = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]*")


def encode_ascii(header: bytes) -> bytes:
    """Return a header in ASCII; the fields that it changes end with CR LF."""
    written, octets_left = [], MAX_PARSED
    for field in _FIELD.findall(header):
        if field.isascii():
            written.append(field)
            continue
        octets_left -= len(field)
        written.append(_ascii(field, parsed=octets_left >= 0))
    return b"".join(written)


def _ascii(field: bytes, *, parsed: bool) -> bytes:
    """Return a field in ASCII, by the rules of its kind where it is `parsed`."""
    name, colon, value = field.partition(b":")
    if not colon or not name.isascii():
        return b""
    text = " ".join(value.decode(errors="replace").split())
    try:
        written = write_field(name, text) if parsed else _encode_q(text)
    except Exception:  # noqa: BLE001  # email's parsers fail in many ways on invalid mail
        written = _encode_q(text)
    return name + b": " + written.encode() + b"\r\n"


def write_field(name: bytes, text: str) -> str:
    """Return the value of a field in ASCII, as encoded words where it was not."""
    kind = name.strip().lower()
    if _ADDRESSES.fullmatch(kind):
        return _addresses(text)
    if kind in _MIME:
        return _parameters(name.decode().strip(), text)
    if _STRUCTURED.fullmatch(kind):
        return _encode_q(text)
    return _words(text, len(name) + 2)


def _addresses(text: str) -> str:
    """Rewrite the addresses of a list that are not ASCII, and leave the others as they are."""
    if set(":;") & set(_QUOTED.sub("", text)):  # groups, and routes
        return _encode_q(text)
    parts = [part.strip() for part in _ADDRESS.findall(text)]
    return _fold([part if part.isascii() else _address(part) for part in parts if part], ", ")


def _address(text: str) -> str:
    try:
        [(name, address)] = getaddresses([text]) if len(text) <= LONGEST_PART else []
    except ValueError:  # not a single address
        return _encode_q(text)
    if not address.isascii():
        return f"{_phrase(name or 'Internationalized address')} removed:;"
    return f"{_phrase(name)} <{address}>" if name else address


def _phrase(name: str) -> str:
    """Return a display name: RFC 5322 section 3.2.5, RFC 2047 section 5."""
    if not name.isascii():
        return _words(name, 0).replace("\r\n", "")
    return name if _PLAIN_PHRASE.fullmatch(name) else f'"{quote(name)}"'


def _parameters(name: str, text: str) -> str:
    """Rewrite the value of a MIME field: no encoded word may stand there."""
    if len(text) > LONGEST_PART:
        return _encode_q(text)
    field: str = policy.SMTP.header_factory(name, text).fold(policy=policy.SMTP)
    written = field.partition(":")[2].strip()
    return written if written.isascii() and "=?" not in written else _encode_q(text)


def _words(text: str, used: int) -> str:
    """Return a text as encoded words, on lines; `used` characters of the first are taken."""
    if text.isascii():
        return text
    try:
        return Header(text, "utf-8", header_name="x" * used).encode(linesep="\r\n")
    except (HeaderParseError, UnicodeError):
        return "(not shown)"


def _encode_q(text: str) -> str:
    return _fold(text.encode("ascii", errors="replace").decode().split(" "), " ")


def _fold(parts: list[str], between: str) -> str:
    """Join parts, on more lines where one would be too long."""
    text = between.join(parts)
    if len(text) <= LINE:
        return text
    lines, line = [], ""
    for part in parts:
        if line and len(line) + len(part) > LINE - len(between):
            lines.append(line + between.rstrip())
            line = part
        else:
            line = f"{line}{between}{part}" if line else part
    return "\r\n ".join([*lines, line])
