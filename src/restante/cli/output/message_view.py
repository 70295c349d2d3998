"""A message for a person: its fields, texts and parts, the same for `show` and the shell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.cli.output.terminal import plain
from restante.diagnosis import wording
from restante.protocol.text import decode_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from restante.mail.message import DecodedMessage, Text
    from restante.mail.parts import Part

LONGEST = 64 * 1024  # octets of a line that are kept until its end
LABEL = 8  # columns of a field's name, colon counted


def lines_of(message: DecodedMessage) -> Iterator[str]:
    """Yield a message line by line: decoded, and harmless."""
    for name, value in message.fields():
        yield plain(f"{name + ':':<{LABEL}} {' '.join(value.split())}")
    yield ""
    texts = message.texts()
    for text in texts:
        yield from text_lines(text)
    for part in message.others(texts):
        yield f"[{describe_part(part)}]"


def text_lines(text: Text) -> Iterator[str]:
    """Yield the text of a part line by line."""
    for line in text.text.rstrip().splitlines():
        yield plain(line.expandtabs(8))
    if text.left_out:
        more = wording.octets(text.left_out)
        yield f"[{more} more of part {text.part.number} are not shown; use save]"


def describe_part(part: Part) -> str:
    """Return a part in a line: its number, type, name and size."""
    name = " ".join(plain(part.name).split()) or "without a name"
    return f"part {part.number}: {plain(part.type)}, {name}, {wording.octets(part.size)}"


def lines_in(pieces: Iterable[bytes]) -> Iterator[str]:
    """Yield the lines of what comes in pieces, not harmless yet; very long ones in several."""
    held = b""
    for piece in pieces:
        *lines, held = (held + piece).split(b"\n")
        for line in lines:
            yield decode_text(line.removesuffix(b"\r"))
        if len(held) > LONGEST:
            yield decode_text(held)
            held = b""
    if held:
        yield decode_text(held)
