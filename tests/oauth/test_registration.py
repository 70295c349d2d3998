"""Dynamic registration, and the ids that are kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from restante.oauth import private_files
from restante.oauth.errors import OAuthError
from restante.oauth.metadata import fetch_metadata
from restante.oauth.registration import Registrations, register
from support.issuer import SCOPE, Issuer


def test_what_is_registered(issuer: Issuer) -> None:
    """A native client without a secret, whose redirects are on the loopback interface.

    rfc7591-s2/registration
    """
    assert register(fetch_metadata(issuer.url), SCOPE) == "registered-1"
    (client,) = issuer.registered
    assert client["client_name"] == "Restante"
    assert client["token_endpoint_auth_method"] == "none"
    assert client["redirect_uris"] == ["http://127.0.0.1/", "http://localhost/"]
    assert client["grant_types"] == ["authorization_code", "refresh_token"]


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"client_id": None}, "oauth-answer"),
        ({"client_id": 5}, "oauth-answer"),
        ({"client_id": "x" * 5000}, "oauth-answer"),
        ({"client_secret": "s3cret", "token_endpoint_auth_method": None}, "oauth-client"),
        ({"client_secret": "s3cret", "token_endpoint_auth_method": "any"}, "oauth-client"),
    ],
)
def test_unusable_answers(issuer: Issuer, changes: dict[str, Any], verdict: str) -> None:
    """An answer without a usable id is an error; so is a secret, which no program can keep."""
    issuer.client_changes = changes
    with pytest.raises(OAuthError) as caught:
        register(fetch_metadata(issuer.url), SCOPE)
    assert caught.value.id == verdict
    assert "s3cret" not in str(caught.value)


def test_a_secret_that_is_not_used(issuer: Issuer) -> None:
    """Some issuers give each client a secret, also one that they registered as public."""
    issuer.client_changes = {"client_secret": "s3cret"}
    assert register(fetch_metadata(issuer.url), SCOPE).startswith("registered-")


def test_an_issuer_that_registers_none(issuer: Issuer) -> None:
    """A refusal has its verdict."""
    server = fetch_metadata(issuer.url)
    issuer.broken = 403
    with pytest.raises(OAuthError) as caught:
        register(server, SCOPE)
    assert caught.value.id == "oauth-answer"


def test_ids_are_kept_by_issuer(tmp_path: Path) -> None:
    """An id is found again for its issuer alone, and forgotten when it is asked for."""
    kept = Registrations(tmp_path / "state" / "clients")
    assert kept.find("https://a.example") == ""
    kept.keep("https://a.example", "one")
    kept.keep("https://b.example/realm", "two")
    assert kept.find("https://a.example") == "one"
    assert kept.find("https://b.example/realm") == "two"
    assert kept.find("https://b.example") == ""
    kept.forget("https://a.example")
    assert kept.find("https://a.example") == ""


def test_two_sign_ins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sign-in does not write while another one does."""
    monkeypatch.setattr("restante.oauth.registration.PATIENCE", 0.0)
    kept = Registrations(tmp_path / "clients")
    kept.keep("https://a.example", "one")
    with private_files.open_folder(kept.folder) as folder:
        private_files.wait_for_lock(folder, kept.folder, 0)
        with pytest.raises(private_files.LockTimeoutError, match="held the lock"):
            kept.keep("https://a.example", "two")
    kept.keep("https://a.example", "two")
    assert kept.find("https://a.example") == "two"


@pytest.mark.parametrize(
    "octets", [b"", b"{", b"[]", b'{"issuer": "https://b.example"}', b"[" * 100_000]
)
def test_a_damaged_file(tmp_path: Path, octets: bytes) -> None:
    """A file that cannot be used is as none: the client is registered again."""
    kept = Registrations(tmp_path / "clients")
    kept.keep("https://a.example", "one")
    (file,) = (tmp_path / "clients").iterdir()
    file.write_bytes(octets)
    assert kept.find("https://a.example") == ""
