"""The issuer in a mail domain's PACC file."""

from __future__ import annotations

import base64
import hashlib
import json

import pytest

from restante.client.options import Options, Target
from restante.oauth import pacc
from restante.oauth.server_sources import NetworkServerSources
from support.domain_files import DomainFiles

FILE = json.dumps(
    {
        "protocols": {"pop3": {"host": "pop.hoster.example"}, "jmap": {"url": "https://x"}},
        "authentication": {"oauth-public": {"issuer": "https://id.example.com"}},
    }
).encode()


def txt(octets: bytes) -> str:
    return f"v=UAAC1; a=sha256; d={base64.b64encode(hashlib.sha256(octets).digest()).decode()}"


def read(octets: bytes = FILE, records: list[str] | None = None, host: str = "") -> str:
    found = [txt(octets)] if records is None else records
    return pacc.read_issuer(octets, found, host or "pop.hoster.example", "example.com")


def test_an_issuer() -> None:
    """The file names the issuer for its servers, and for those in the domain."""
    assert read() == "https://id.example.com"
    assert read(host="mail.example.com") == "https://id.example.com"
    assert read(host="pop.other.example") == ""


@pytest.mark.parametrize(
    "records",
    [
        [],
        [txt(b"another file")],
        [txt(FILE).replace("UAAC1", "UAAC2")],
        [txt(FILE).replace("sha256", "md5")],
        ["v=UAAC1; a=sha256; d=%"],
        ["v=UAAC1; a=sha256; d=\ufffd"],
        ["v=UAAC1; a=sha256"],
        ["\ufffd"],
    ],
)
def test_a_file_without_its_digest(records: list[str]) -> None:
    """A file that the domain's DNS does not vouch for names nothing."""
    assert read(records=records) == ""


def test_a_digest_among_others() -> None:
    """Any of the records may have the digest: a file is replaced while the old one is cached."""
    assert read(records=["v=spf1", txt(b"old"), txt(FILE)]) == "https://id.example.com"


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        b"{}",
        b'{"authentication": [], "protocols": {"pop3": 5}}',
        b'{"protocols": {"pop3": {"host": ["mail.example.com"]}, "imap": {"host": {}}}}',
        FILE.replace(b"https://id", b"http://id"),
        FILE.replace(b'"https://id.example.com"', b"5"),
    ],
)
def test_odd_files(octets: bytes) -> None:
    """A file may be anything."""
    assert read(octets, host="mail.example.com") == ""


def test_over_the_network() -> None:
    """The file is where the draft has it, and its digest at the name of the record."""
    target = Target("pop.hoster.example", 995, "implicit", "ann@example.com")
    files = DomainFiles(FILE, "ua-auto-config.example.com/", {"_ua-auto-config.example.com": FILE})
    sources = NetworkServerSources(target, Options(), files)
    found = sources.domain_file()
    assert found is not None
    assert found.issuer == "https://id.example.com"
