"""A message as the shell shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.cli.output import message_view
from restante.cli.output.message_view import lines_in

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["lines_in", "lines_of", "without_tags"]


def lines_of(octets: bytes) -> Iterator[str]:
    """Yield a message line by line, decoded and harmless."""
    from restante.mail import message

    return message_view.lines_of(message.read(octets))


def without_tags(page: str) -> str:
    """Return the text of a page of HTML."""
    from restante.mail import html_text

    return html_text.text_of(page)
