"""The file with the address and the keys of an object store."""

from __future__ import annotations

import pytest

from restante.protocol.secret import Secret
from restante.storage.cluster.bodies import ObjectBodies
from restante.storage.cluster.objects_secret import parse_secret
from support.s3 import HIDDEN


def test_settings_are_divided() -> None:
    """Settings of the HTTP client are known by their names, all others are the store's."""
    text = b'endpoint = "https://s3.example.org"\nregion = "eu"\nproxy_url = "http://p"\n'
    found = parse_secret(Secret(text))
    assert found.store == {"endpoint": "https://s3.example.org", "region": "eu"}
    assert found.client == {"proxy_url": "http://p"}


def test_without_a_file_there_are_no_settings() -> None:
    """The settings may come from the environment, as on a machine in the cloud."""
    assert parse_secret(None) == ({}, {})


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (f"secret_access_key = {HIDDEN}", "at line 1"),
        (f'endpoint = "x"\n{HIDDEN}', "at end of document"),
        (f"\xff{HIDDEN}", "UTF-8"),
        (f'[key]\nsecret = "{HIDDEN}"', "key: must be a text"),
        ("port = 9000", "port: must be a text"),
        ('endpoint = "http://s3.example.org"', "without TLS"),
    ],
)
def test_an_error_names_the_place_and_no_value(text: str, problem: str) -> None:
    """The error names the fault of the file, and shows no secret."""
    with pytest.raises(ValueError, match=problem) as caught:
        parse_secret(Secret(text.encode("latin-1")))
    assert HIDDEN not in str(caught.value)


def test_http_is_for_this_machine_unless_allowed() -> None:
    """Mail does not cross a network in clear text by accident."""
    assert parse_secret(Secret(b'endpoint = "http://127.0.0.1:9000"')).client["allow_http"]
    text = b'endpoint = "http://s3.lan"\nallow_http = true'
    assert parse_secret(Secret(text)).client["allow_http"]


def test_an_unknown_setting_is_an_error() -> None:
    """A misspelt setting is found at start."""
    pytest.importorskip("obstore")
    text = f'endpoit = "https://s3.example.org"\nsecret_access_key = "{HIDDEN}"'
    with pytest.raises(ValueError, match="endpoit: an unknown setting") as caught:
        ObjectBodies("s3://mail", Secret(text.encode()))
    assert HIDDEN not in str(caught.value)


def test_settings_are_never_shown() -> None:
    """The settings print as stars."""
    assert HIDDEN not in repr(parse_secret(Secret(f'secret_access_key = "{HIDDEN}"'.encode())))
