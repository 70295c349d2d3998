"""The names by which the commands know `restante.protocol.text`."""

from restante.protocol.text import printable as plain
from restante.protocol.text import printable_lines as plain_lines
from restante.protocol.text import shorten_lines

__all__ = ["plain", "plain_lines", "shorten_lines"]
