"""From a mail server to its issuer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from msgspec.structs import replace

from restante.client.discovery.autoconfig import OAuthHint
from restante.oauth.discovery import (
    MAIL_SCOPE,
    Issuer,
    RejectedToken,
    find_issuer,
    require_provider,
)
from restante.oauth.errors import OAuthError
from restante.oauth.providers import load_providers
from restante.oauth.settings import OAuthSettings, read_settings
from support.issuer import Issuer as LocalIssuer

PROVIDERS = load_providers()


@dataclass
class Sources:
    """A mail server and its domain."""

    hint: OAuthHint | None = None
    said: RejectedToken | None = None
    asked: int = 0

    def domain_file(self) -> OAuthHint | None:
        self.asked += 1
        return self.hint

    def rejected_token(self) -> RejectedToken | None:
        self.asked += 1
        return self.said


def find(host: str, sources: Sources | None = None, **settings: str) -> Issuer:
    return find_issuer(host, read_settings(settings), PROVIDERS, sources or Sources())


def failure(host: str, sources: Sources, **settings: str) -> OAuthError:
    with pytest.raises(OAuthError) as caught:
        find(host, sources, **settings)
    return caught.value


def test_a_provider_by_its_host() -> None:
    """A server of a provider has its issuer, and no one is asked."""
    sources = Sources()
    found = find("outlook.office365.com", sources)
    assert found.name == "microsoft"
    assert found.server.device == "https://login.microsoftonline.com/common/oauth2/v2.0/devicecode"
    assert found.scope == "https://outlook.office.com/POP.AccessAsUser.All offline_access"
    assert sources.asked == 0


def test_several_protocols() -> None:
    """The scope is that of each protocol of the settings, and each word comes once."""
    settings = read_settings({"protocols": ["imap", "smtp"]})
    found = find_issuer("outlook.office365.com", settings, PROVIDERS, Sources())
    words = [scope.rpartition("/")[2] for scope in found.scope.split()]
    assert words == ["IMAP.AccessAsUser.All", "offline_access", "SMTP.Send"]


def test_a_tenant() -> None:
    """The tenant of the settings is in each URL, and client credentials have their own scope."""
    found = find("outlook.office365.com", tenant="contoso.com", flow="client-credentials")
    assert found.server.token == "https://login.microsoftonline.com/contoso.com/oauth2/v2.0/token"
    assert found.scope == "https://outlook.office365.com/.default"


def test_a_provider_of_the_settings() -> None:
    """The user may name a provider for another server."""
    require_provider(OAuthSettings(provider="google"), PROVIDERS)
    assert find("mail.example.com", provider="google").name == "google"
    assert find("mail.example.com", provider="google", scope="mine").scope == "mine"
    with pytest.raises(ValueError, match='unknown provider "gogle"; known are google, microsoft'):
        require_provider(OAuthSettings(provider="gogle"), PROVIDERS)


def test_a_provider_with_metadata(issuer: LocalIssuer) -> None:
    """A row without endpoints has those of the issuer's metadata, and registers a client there."""
    own = {**PROVIDERS, "fastmail": replace(PROVIDERS["fastmail"], issuer=issuer.url)}
    found = find_issuer("pop.fastmail.com", OAuthSettings(), own, Sources())
    assert found.name == "fastmail"
    assert found.server.registration == f"{issuer.url}/register"
    assert found.scope == f"{MAIL_SCOPE} offline_access"


def test_consent_for_a_refresh_token(issuer: LocalIssuer) -> None:
    """An issuer may ignore offline_access without a consent, so the request asks for one."""
    assert find("mail.example.com", issuer=issuer.url).parameters == {"prompt": "consent"}
    assert find("mail.example.com", issuer=issuer.url, scope="mail").parameters == {}
    issuer.metadata_changes = {"prompt_values_supported": ["none", "login"]}
    assert find("mail.example.com", issuer=issuer.url).parameters == {}
    issuer.metadata_changes = {"prompt_values_supported": ["none", "consent"]}
    assert find("mail.example.com", issuer=issuer.url).parameters == {"prompt": "consent"}
    for parameters in ({"prompt": "login"}, {"access": "offline"}):
        row = replace(PROVIDERS["fastmail"], issuer=issuer.url, parameters=parameters)
        own = {**PROVIDERS, "fastmail": row}
        found = find_issuer("pop.fastmail.com", OAuthSettings(), own, Sources())
        assert found.parameters == {"prompt": "consent", **parameters}


def test_a_provider_without_oauth() -> None:
    """The error names what the provider has in its place."""
    error = failure("pop.gmx.net", Sources())
    assert error.id == "oauth-none"
    assert "app password" in error.text


def test_an_issuer_of_the_settings(issuer: LocalIssuer) -> None:
    """The issuer of the settings is asked for its metadata."""
    found = find("mail.example.com", issuer=issuer.url)
    assert found.server.token == f"{issuer.url}/token"
    assert found.scope == f"{MAIL_SCOPE} offline_access"
    assert find("mail.example.com", issuer=issuer.url, scope="all").scope == "all"


def test_only_known_scopes(issuer: LocalIssuer) -> None:
    """Only scopes that the issuer knows are requested; `email` is, if none is for mail alone."""
    issuer.metadata_changes = {"scopes_supported": ["openid", "email", "phone"]}
    assert find("mail.example.com", issuer=issuer.url).scope == "openid email"
    issuer.metadata_changes = {"scopes_supported": [MAIL_SCOPE, "email"]}
    assert find("mail.example.com", issuer=issuer.url).scope == MAIL_SCOPE


def test_an_autoconfig_file() -> None:
    """A file that has a host name as the issuer names the endpoints."""
    hint = OAuthHint("id.example.com", "mail", "https://id.example.com/a",
                     "https://id.example.com/t", "messaging")  # fmt: skip
    found = find("mail.example.com", Sources(hint))
    assert found.server.token == "https://id.example.com/t"
    assert (found.scope, found.client_id) == ("mail", "messaging")
    assert found.server.iss_in_response is False


def test_an_autoconfig_file_with_an_odd_issuer() -> None:
    """The issuer of a file that names the endpoints may be any text."""
    for odd in ("//[x", "x://[", "https//id.example.com", "Example Corp."):
        hint = OAuthHint(odd, "mail", "https://id.example.com/a", "https://id.example.com/t")
        assert find("mail.example.com", Sources(hint)).server.issuer == odd


def test_an_autoconfig_file_with_an_issuer(issuer: LocalIssuer) -> None:
    """A file that has a URL as the issuer leads to its metadata."""
    found = find("localhost", Sources(OAuthHint(issuer.url)))
    assert found.server.registration == f"{issuer.url}/register"


def test_a_server_that_names_its_issuer(issuer: LocalIssuer) -> None:
    """The reply to a rejected token has the URL of the metadata, and a scope."""
    said = RejectedToken(f"{issuer.url}/.well-known/openid-configuration", "mail")
    found = find("localhost", Sources(said=said))
    assert found.server.issuer == issuer.url
    assert found.scope == "mail"


def test_nothing_is_known() -> None:
    """Without an issuer, the error says so."""
    assert failure("mail.example.com", Sources()).id == "oauth-none"


OTHERS = [
    "https://accounts.google.com/o/oauth2/v2/auth",
    "https://www.googleapis.com/oauth2/v3/token",
    "https://login.microsoftonline.com/common/oauth2/v2.0/authorize",
    "https://login.windows.net/common/oauth2/authorize",
    "https://login.live.com/oauth20_authorize.srf",
    "https://api.login.yahoo.com/oauth2/request_auth",
    "https://api.fastmail.com/oauth/authorize",
]


@pytest.mark.parametrize("url", OTHERS)
def test_a_server_must_not_name_the_issuer_of_another(url: str) -> None:
    """A token for a large provider would go to a server that is not the provider's."""
    own = "https://id.evil.example/o"
    for urls in ((url, url), (url, own), (own, url)):
        sources = Sources(OAuthHint("evil.example", "mail", *urls))
        assert failure("pop.evil.example", sources).id == "oauth-forged"


@pytest.mark.parametrize(
    "host",
    [
        "accounts.google.com.", "accounts%2Egoogle.com", "accounts.google.com\\.evil.example",
        "accounts.google.com%2F.evil.example", "accounts.google.com;.evil.example",
        "@accounts.google.com", "127.1", "0x7f.0.0.1", "2130706433", "id.evil.example:x",
    ],
)  # fmt: skip
def test_a_host_with_two_meanings(host: str) -> None:
    """A browser may find the issuer of another provider, where the checks saw none."""
    own = "https://id.evil.example/o"
    sources = Sources(OAuthHint("evil.example", "mail", f"https://{host}/a", own))
    assert failure("pop.evil.example", sources).id == "oauth-answer"


def test_an_issuer_on_this_machine(issuer: LocalIssuer) -> None:
    """A server elsewhere must not make the client ask a service of the client's machine."""
    own = "https://id.evil.example/o"
    for sources in (
        Sources(said=RejectedToken(f"{issuer.url}/.well-known/openid-configuration")),
        Sources(OAuthHint(issuer.url)),
        Sources(OAuthHint("evil.example", "mail", own, f"{issuer.url}/token")),
        Sources(OAuthHint("evil.example", "mail", "https://localhost/a", own)),
        Sources(OAuthHint("evil.example", "mail", "https://cups.localhost/a", own)),
        Sources(OAuthHint("evil.example", "mail", "https://0.0.0.0/a", own)),
        Sources(OAuthHint("evil.example", "mail", own, "https://[::]/t")),
    ):
        assert failure("pop.evil.example", sources).id == "oauth-forged"
    assert issuer.requests == []


@pytest.mark.parametrize("name", ["authorization_endpoint", "device_authorization_endpoint"])
def test_the_sign_in_page_of_another(issuer: LocalIssuer, name: str) -> None:
    """The codes of an issuer go to its own host, unless the user names the issuer."""
    issuer.metadata_changes = {name: "https://id.example.com/a"}
    said = RejectedToken(f"{issuer.url}/.well-known/openid-configuration")
    error = failure("localhost", Sources(said=said))
    assert (error.id, "name the issuer in accounts.toml" in error.text) == ("oauth-forged", True)
    assert find("localhost", issuer=issuer.url).server.issuer == issuer.url
    hint = OAuthHint("x", "mail", "https://id.example.com/a", "https://id.evil.example/t")
    assert failure("pop.evil.example", Sources(hint)).id == "oauth-forged"


def test_the_scheme_of_endpoints(issuer: LocalIssuer) -> None:
    """Another scheme at the same port is another origin."""
    issuer.metadata_changes = {"authorization_endpoint": f"https://127.0.0.1:{issuer.port}/a"}
    said = RejectedToken(f"{issuer.url}/.well-known/openid-configuration")
    assert failure("localhost", Sources(said=said)).id == "oauth-forged"


def test_one_host_in_two_spellings() -> None:
    """The case of a host, and the port of https, make no other host of it."""
    hint = OAuthHint("x", "mail", "https://ID.example.com:443/a", "https://id.example.com/t")
    assert find("pop.example.com", Sources(hint)).server.token == "https://id.example.com/t"


def test_endpoints_of_a_domain() -> None:
    """Endpoints are https URLs without a user in them, and without a fragment."""
    good = "https://id.example/t"
    for odd in ("https://a@id.example/a", "https://id.example/a#b"):
        for urls in ((odd, good), (good, odd)):
            sources = Sources(OAuthHint("x", "mail", *urls))
            assert failure("pop.example.com", sources).id == "oauth-answer"


def test_settings() -> None:
    """A wrong key or value of the settings is an error that names it."""
    assert read_settings({"flow": "device"}) == OAuthSettings(flow="device")
    for table, words in (({"clientid": "x"}, "clientid"), ({"flow": "magic"}, "magic")):
        with pytest.raises(ValueError, match=f"oauth: .*{words}"):
            read_settings(table)


def test_the_page_has_all_settings() -> None:
    """The how-to page explains each key of the table `oauth`."""
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "sign-in.md").read_text()
    missing = [key for key in OAuthSettings.__struct_fields__ if f"| `{key}` |" not in page]
    assert missing == []
