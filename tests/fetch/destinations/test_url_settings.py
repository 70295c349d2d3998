"""The settings in the URL of a destination."""

from __future__ import annotations

import re

import pytest

from restante.fetch.destinations.imap.address import parse_imap_url
from restante.fetch.destinations.url_settings import ANY, parse_settings

KNOWN = {"rcpt": ANY, "tls": ("yes", "no")}


def test_values() -> None:
    """Values are decoded, a "+" stays one, and one setting may be repeated."""
    found = parse_settings("rcpt=ann+a@example.com&tls=no&rcpt=b%26b", KNOWN, repeated="rcpt")
    assert found == {"rcpt": ["ann+a@example.com", "b&b"], "tls": ["no"]}


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("cafile=a", "'cafile' is not a setting of this destination: rcpt, tls"),
        ("rcpt=", "rcpt has no value; write rcpt=..."),
        ("tls=maybe", "tls is 'maybe'; use yes or no"),
        ("rcpt=a&rcpt=b", "rcpt is there twice; write it once"),
    ],
)
def test_errors(query: str, said: str) -> None:
    """An error says what to write."""
    with pytest.raises(ValueError, match=re.escape(said)):
        parse_settings(query, KNOWN)


def test_imap_authority_twice() -> None:
    """Of two files with authorities, neither is trusted in silence."""
    with pytest.raises(ValueError, match="cafile is there twice"):
        parse_imap_url("imaps://ann@mail.example.com/INBOX?cafile=a.pem&cafile=b.pem")
