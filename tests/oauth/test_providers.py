"""The table of providers: its form, and what the user's file changes of it."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from restante.client.public_suffix import is_public_suffix
from restante.net.host_names import is_name
from restante.oauth.providers import (
    Provider,
    find_by_domain,
    find_by_host,
    load_providers,
)

ROWS = load_providers()


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_a_row(row: Provider) -> None:
    """A row has sources with their date, https endpoints, and what its flows need."""
    assert row.sources
    assert row.read > dt.date(2026, 1, 1)
    assert row.client_id == row.client_secret_command == ""  # none of another program
    assert all(is_name(host) and not is_public_suffix(host) for host in row.hosts)
    assert row.has_host(row.pop.partition(":")[0])
    urls = [row.authorization, row.token, row.device, row.revocation, row.issuer]
    assert all(url.startswith("https://") for url in urls if url)
    assert all(row.has_issuer(urlsplit(url).hostname or "") for url in urls if url)
    assert ("device" in row.flows) is bool(row.device)
    assert ("{tenant}" in row.token) is bool(row.tenant)
    assert row.app_password or row.flows
    if row.issuer:
        assert row.mechanisms
        assert set(row.scopes) == {"pop", "imap", "smtp"}
    assert bool(row.token) is bool(row.authorization) is bool(row.flows)
    if row.flows:
        assert len(row.registration) == 6
        assert all(len(line) <= 100 for line in row.registration)


def test_hosts_and_domains_are_of_one_provider() -> None:
    """No two rows have the same domain, or the same host."""
    for names in ([d for row in ROWS.values() for d in row.domains],
                  [h for row in ROWS.values() for h in row.hosts]):  # fmt: skip
        assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("pop.gmail.com", "google"),
        ("imap.googlemail.com", "google"),
        ("outlook.office365.com", "microsoft"),
        ("pop-mail.outlook.com", "microsoft"),
        ("pop.mail.yahoo.com", "yahoo"),
        ("export.pop.aol.com", "aol"),
        ("pop.fastmail.com", "fastmail"),
        ("notgmail.com", ""),
        ("pop.gmail.com.example.com", ""),
    ],
)
def test_a_host(host: str, name: str) -> None:
    """A host is a provider's where it is in one of its domains."""
    assert find_by_host(ROWS, host) == name


def test_a_domain() -> None:
    """A mail domain is a provider's where it is in its list."""
    assert find_by_domain(ROWS, "hotmail.com") == "microsoft"
    assert find_by_domain(ROWS, "example.com") == ""


def test_changes_of_the_user(tmp_path: Path) -> None:
    """The user's file replaces single keys of a row, and adds rows."""
    (tmp_path / "providers.toml").write_text(
        '[google]\nclient_id = "mine"\n'
        '[ours]\nname = "Ours"\nhosts = ["mail.example.com"]\nissuer = "https://id.example.com"\n'
    )
    found = load_providers(tmp_path)
    assert found["google"].client_id == "mine"
    assert found["google"].token == ROWS["google"].token
    assert find_by_host(found, "mail.example.com") == "ours"


@pytest.mark.parametrize("text", ["[google", '[google]\nclientid = "x"', "google = 5"])
def test_an_invalid_file_of_the_user(tmp_path: Path, text: str) -> None:
    """The error names the file."""
    (tmp_path / "providers.toml").write_text(text)
    with pytest.raises(ValueError, match=r"providers\.toml: "):
        load_providers(tmp_path)
