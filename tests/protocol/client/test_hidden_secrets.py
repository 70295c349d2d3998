"""Secrets that a server repeats are not shown."""

from __future__ import annotations

import base64
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest

from restante.protocol.client.hidden_secrets import HiddenSecrets


@pytest.mark.parametrize("secret", ["hunter22", "5", "Stra\xdfe17", "\u0130x\xe4", "a+b & c"])
@pytest.mark.parametrize("change", [str, str.upper, str.lower, str.title, str.swapcase])
def test_a_secret_in_any_case(secret: str, change: Callable[[str], str]) -> None:
    """A server that changes the case of what it repeats shows no secret."""
    secrets = HiddenSecrets()
    secrets.add(secret)
    mojibake = secret.encode().decode("latin-1")
    for form in (secret, quote(secret), quote_plus(secret), mojibake):
        assert secrets.redact(f"no <{change(form)}>, go") == "no <***>, go"
    assert secrets.redact("4 105") == "4 105"


@pytest.mark.parametrize("secret", ['hunter"2\\secret', "a/b+c=de~ f", '5"'])
def test_a_quoted_secret(secret: str) -> None:
    """A secret is hidden as it stands in a URL and in a quoted string, by any rules of quoting."""
    secrets = HiddenSecrets()
    secrets.add(secret)
    in_quotes = secret.replace("\\", "\\\\").replace('"', '\\"')
    for form in (in_quotes, quote(secret), quote(secret, safe=""), quote_plus(secret)):
        assert secrets.redact(f"no <{form}>, go") == "no <***>, go"


def test_a_secret_that_begins_like_another() -> None:
    """Of two secrets of which one begins like the other, the whole longer one is hidden."""
    secrets = HiddenSecrets()
    secrets.add("hunter2")
    secrets.add("hunter2024")
    assert secrets.redact("PASS hunter2024 or hunter2") == "PASS *** or ***"


@pytest.mark.parametrize("name", ["", "a", "an", "ann", "ann@example.com"])
def test_a_secret_within_base64(name: str) -> None:
    """A response of AUTH in base64 is hidden whole, however long the name before the secret is."""
    secrets = HiddenSecrets()
    secrets.add("hunter22")
    for response in (f"\0{name}\0hunter22", f"user={name}\1auth=Bearer hunter22\1\1"):
        coded = base64.b64encode(response.encode()).decode()
        assert secrets.redact(f"500 AUTH PLAIN {coded}: what?") == "500 AUTH PLAIN ***: what?"


def test_a_long_word_in_base64() -> None:
    """A word of 64 KiB without the secret is searched once, and stays as it is."""
    secrets = HiddenSecrets()
    secrets.add("hunter22")
    word = "QUFB" * 16_384
    assert secrets.redact(word) == word
