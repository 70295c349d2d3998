"""Mail as its readers decode it: any octets, as a header, a message, a name and a page."""

from __future__ import annotations

import os

from fuzz.target import Target
from restante.cli.output.message_view import lines_of
from restante.cli.output.terminal import plain
from restante.mail import message, parts
from restante.mail.filename import safe_name
from restante.mail.header import header_of
from restante.mail.html_text import text_of
from restante.protocol.text import to_json

DEEPEST, MAX_PARTS = 3, 6


def mail(octets: bytes) -> None:
    """A message; each of its parts again as a page."""
    header = header_of(octets)
    for name in set(header.keys()):
        str(header[name]).encode()
    header.get_filename()
    header.get_content_type()
    assert header.as_bytes().isascii() or not octets.isascii()
    found = message.read(octets)
    assert 1 <= len(found.parts) <= MAX_PARTS + 1
    assert sum(part.end - part.begin for part in found.parts) <= len(octets)
    for part in found.parts:
        assert len(part.content) <= len(octets)
        name = safe_name(part.name)
        assert "/" not in name
        assert name not in (".", "..")
        assert 0 < len(os.fsencode(name)) <= 255
        assert plain(text_of(part.content.decode("latin-1")).replace("\n", "")).isprintable()
    assert all(line == plain(line) for line in lines_of(found))
    summary = message.summary(octets)
    written = to_json([summary.sender, summary.subject, summary.date_text])
    assert plain(written) == written


TARGETS = {
    "mail": Target(
        "Any octets are a message: it has a header, parts within it and names that fit a folder, "
        "and what is shown of it is harmless.",
        mail,
        ((parts, "DEEPEST", DEEPEST), (parts, "MAX_PARTS", MAX_PARTS)),
        runs=10_000,
    ),
}
