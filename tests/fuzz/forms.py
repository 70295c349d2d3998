"""Input outside of sessions: messages, names, headers, files of settings, first octets."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from xml.parsers import expat

from fuzz.target import Target, choices, cut
from protocol import reference
from restante.client import mail_address
from restante.client.discovery import autoconfig
from restante.client.options import parse_url
from restante.protocol import line_ends, stuffing
from restante.protocol.stuffing import to_wire  # type: ignore[attr-defined]  # the one that is used
from restante.server.connection import proxy_protocol
from restante.server.tls import client_hello
from restante.storage.utf8_downgrade import maildrop

ADDRESS = mail_address.MailAddress("ann", "example.com")


def wire(octets: bytes) -> None:
    """TOP's lines and the pieces by two octets, then a message as it is stored."""
    (lines, piece), stored = choices(octets, 2)
    whole, top = stuffing.DotStuffer(), stuffing.TopStuffer(lines)
    parts = cut(stored, piece)
    sent = b"".join(map(whole.feed, parts)) + whole.finish()
    assert sent == reference.retr(stored) == stuffing.encode_message(stored)[0]
    assert whole.octets == reference.size(stored) == stuffing.size_on_wire(parts)
    whole_lines = stored.rstrip(b"\r")
    for start in (True, False):
        in_python = line_ends.to_wire(whole_lines, start)
        assert to_wire(whole_lines, start) == in_python, "C says the same"
    assert len(reference.unstuffed(sent)) == whole.octets
    cut_short = b""
    for part in parts:
        cut_short += top.feed(part)
        if top.complete:
            break
    assert (
        cut_short + top.finish()
        == reference.top(stored, lines)
        == stuffing.encode_top(stored, lines)
    )


def header(octets: bytes) -> None:
    found = maildrop.downgrade(octets)
    if found is None:
        return
    replaced, written = found
    assert written.isascii()
    assert replaced == reference.size(octets)
    assert maildrop.downgrade(written) is None


def settings(octets: bytes) -> None:
    """A file of autoconfig; and as text, an account's URL and an address."""
    with contextlib.suppress(autoconfig.NoAutoconfigError):
        for server in autoconfig.parse(octets, ADDRESS):
            assert 0 < server.port < 65536
        assert not _has_document_type(octets)
    text = octets.decode(errors="replace")
    with contextlib.suppress(ValueError):
        target = parse_url(text)
        assert target.host
        assert 0 < target.port < 65536
    with contextlib.suppress(ValueError):
        address = mail_address.parse_address(text)
        assert address.domain.isascii()


def first_octets(octets: bytes) -> None:
    """A PROXY header, or a ClientHello, in pieces."""
    (piece,), sent = choices(octets, 1)
    client_hello.newest_version(sent)
    seen = b""
    with contextlib.suppress(proxy_protocol.ProxyError):
        for part in cut(sent, piece):
            seen += part
            found = proxy_protocol.read_header(seen)
            if found is not None:
                assert seen.endswith(found.rest)
                assert proxy_protocol.read_header(seen + b"more") == replace(
                    found, rest=found.rest + b"more"
                )
                return
            assert len(seen) <= 16 + 65_535


def _has_document_type(octets: bytes) -> bool:
    found: list[str] = []
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = lambda name, *_: found.append(name)
    parser.Parse(octets, True)  # the name is expat's
    return bool(found)


TARGETS = {
    "wire": Target(
        "RETR, TOP and LIST say of a message what a slow and naive reading says, in any pieces.",
        wire,
        runs=50_000,
    ),
    "header": Target("A header in whatever octets has a stand-in in ASCII.", header, runs=50_000),
    "settings": Target(
        "A file of settings, a URL or an address is understood, or refused with ValueError; none "
        "with a document type is understood.",
        settings,
        runs=50_000,
    ),
    "first_octets": Target(
        "What comes before a greeting is understood, waited for, or refused.",
        first_octets,
        runs=50_000,
    ),
}
