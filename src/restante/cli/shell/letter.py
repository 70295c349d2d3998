"""A message as a person reads it: decoded text, and the names of attached files."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

from restante.cli.heads import attachments, field, parsed
from restante.cli.plain import plain
from restante.diagnosis import texts
from restante.protocol.dialogue import readable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LONGEST = 64 * 1024  # octets of a line that are kept until its end
FIELDS = ("From", "To", "Cc", "Date", "Subject")
_BLOCKS = {"p", "br", "div", "li", "tr", "table", "ul", "ol", "h1", "h2", "h3", "h4", "blockquote"}
_UNSEEN = {"script", "style", "head", "title"}


def lines_of(octets: bytes) -> list[str]:
    """Return a message line by line, decoded and harmless; as it is, where nobody can decode it."""
    try:
        return list(_decoded_lines(octets))
    except Exception:  # noqa: BLE001  # the parser of the standard library trips over some mail
        return ["(not decoded)", *map(plain, lines_in([octets]))]


def _decoded_lines(octets: bytes) -> Iterator[str]:
    message = parsed(octets)
    for name in FIELDS:
        if value := field(message, name):
            yield plain(f"{name}: {' '.join(str(value).split())}")
    yield ""
    for line in text_of(message).splitlines():
        yield plain(line.expandtabs(8))
    for number, part in enumerate(attachments(message), 1):
        name = part.get_filename() or "without a name"
        octets = _payload(part)
        yield plain(f"[{number}: {name}, {part.get_content_type()}, {texts.octets(len(octets))}]")


def lines_in(pieces: Iterable[bytes]) -> Iterator[str]:
    """Yield the lines of what comes in pieces, not harmless yet; very long ones in several."""
    held = b""
    for piece in pieces:
        *lines, held = (held + piece).split(b"\n")
        for line in lines:
            yield readable(line.removesuffix(b"\r"))
        if len(held) > LONGEST:
            yield readable(held)
            held = b""
    if held:
        yield readable(held)


def text_of(message: Any) -> str:
    """Return the text of a message: the plain one where there are two."""
    part = message.get_body(("plain", "html"))
    if part is None:
        return "" if message.is_multipart() or message.get_filename() else _decoded(message)
    text = _decoded(part)
    return without_tags(text) if part.get_content_type() == "text/html" else text


def _decoded(part: Any) -> str:
    octets = _payload(part)
    for charset in (part.get_content_charset() or "utf-8", "utf-8"):
        try:
            return octets.decode(charset)
        except (LookupError, UnicodeError, ValueError):
            continue
    return octets.decode("latin-1")


def _payload(part: Any) -> bytes:
    return part.get_payload(decode=True) or b""


def without_tags(html: str) -> str:
    """Return the text of a page."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    lines = (" ".join(line.split()) for line in "".join(reader.text).split("\n"))
    return "\n".join(filter(None, lines))


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.text: list[str] = []
        self._unseen = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002  # the name is HTMLParser's
        self._unseen += tag in _UNSEEN
        if tag in _BLOCKS:
            self.text.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._unseen = max(0, self._unseen - (tag in _UNSEEN))
        if tag in _BLOCKS:
            self.text.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self.text.append(data.replace("\n", " "))
