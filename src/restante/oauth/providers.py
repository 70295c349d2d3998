"""The table of providers: providers.toml of this package, changed by that of the user."""

from __future__ import annotations

import datetime as dt
import pkgutil
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec

from restante.client.mail_address import is_below
from restante.file_kinds import exists
from restante.input_files import read_text
from restante.oauth.flows import Flow
from restante.system_errors import explain_path
from restante.toml_input import parse_toml

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FILE = "providers.toml"

MailProtocol: TypeAlias = Literal["pop", "imap", "smtp"]


class Provider(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """A row of the table.

    Attributes:
        name: what people call it.
        domains: mail domains whose accounts it has.
        hosts: hosts of its mail servers, or domains that they are all in. Tokens of this provider
            are sent to these only, unless the user names another server.
        issuer_domains: domains that all of its issuers are in, under any of their names. No other
            mail server may name one of them.
        pop: its POP3 server, as host:port.
        issuer: the issuer's identifier: RFC 8414 section 2. {tenant} stands for `tenant`.
        issuer_in_response: False if the redirect has no `iss` of RFC 9207, or another one. None if
            it may have it.
        authorization, token, device, revocation: the endpoints, "" for a missing one. Without
            `token` all of them are in the issuer's metadata.
        tokeninfo: the endpoint that describes an opaque access token, "" without one.
        tenant: the tenant, if the user does not name one.
        scopes: the scopes to ask for by protocol: "pop", "imap", "smtp".
        parameters: what the authorization request has besides.
        flows: the flows that give access to mail, best first. None for those of the metadata, or
            for a provider without OAuth.
        client_credentials_scope: the scope of that flow.
        redirect: what the redirect URI begins with; the port follows.
        secret_for: the flows for which the client needs a secret.
        client_id: the id of the user's own client.
        client_secret_command: prints the secret of that client.
        unused_days: days without use after which a refresh token ends.
        testing_days: days after which it ends if the client is only for tests.
        mechanisms: of SASL, best first.
        app_password: how to get an app password, "" if the provider has none.
        admin_consent: the URL at which the administrator of a tenant allows the client.
        registration: how to register a client, in at most six lines.
        sources: what was read.
        read: when it was read.
    """

    name: str
    domains: tuple[str, ...]
    hosts: tuple[str, ...]
    pop: str
    sources: tuple[str, ...]
    read: dt.date
    issuer_domains: tuple[str, ...] = ()
    issuer: str = ""
    issuer_in_response: bool | None = None
    authorization: str = ""
    token: str = ""
    device: str = ""
    revocation: str = ""
    tokeninfo: str = ""
    tenant: str = ""
    scopes: dict[MailProtocol, tuple[str, ...]] = {}
    parameters: dict[str, str] = {}
    flows: tuple[Flow, ...] = ()
    client_credentials_scope: str = ""
    redirect: Literal["http://127.0.0.1", "http://localhost"] = "http://127.0.0.1"
    secret_for: tuple[Flow, ...] = ()
    client_id: str = ""
    client_secret_command: str = ""
    unused_days: int | None = None
    testing_days: int | None = None
    mechanisms: tuple[Literal["OAUTHBEARER", "XOAUTH2"], ...] = ()
    app_password: str = ""
    admin_consent: str = ""
    registration: tuple[str, ...] = ()

    def has_host(self, host: str) -> bool:
        """Return whether a mail server is this provider's."""
        return any(is_below(host, own) for own in self.hosts)

    def has_issuer(self, host: str) -> bool:
        """Return whether the host of an endpoint is this provider's."""
        return any(is_below(host, own) for own in self.issuer_domains)


def load_providers(folder: Path | None = None) -> dict[str, Provider]:
    """Return the rows by their names, with the changes of the user's file in a folder.

    Raises ValueError: the file is invalid; the text names it.
    """
    rows: dict[str, dict[str, Any]] = parse_toml(_shipped_text())
    file = folder / FILE if folder else None
    try:
        if file is None or not exists(file):
            return msgspec.convert(rows, dict[str, Provider])
        own = parse_toml(read_text(file))
        for name, row in own.items():
            rows[name] = {**rows.get(name, {}), **_check_table(name, row)}
        return msgspec.convert({n: _complete(row) for n, row in rows.items()}, dict[str, Provider])
    except OSError as error:
        raise ValueError(explain_path(file, error)) from None
    except ValueError as error:  # of msgspec too
        raise ValueError(f"{file}: {error}") from None


def find_by_host(providers: Mapping[str, Provider], host: str) -> str:
    """Return the name of the provider of a mail server, "" for none."""
    return next((name for name, row in providers.items() if row.has_host(host)), "")


def find_by_domain(providers: Mapping[str, Provider], domain: str) -> str:
    """Return the name of the provider of a mail domain, "" for none."""
    return next((name for name, row in providers.items() if domain in row.domains), "")


def _shipped_text() -> str:
    shipped = pkgutil.get_data("restante.oauth", FILE)  # importlib.resources loads 20 modules
    assert shipped is not None  # as with all loaders of Python
    return shipped.decode()


def _check_table(name: str, row: object) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise ValueError(f"{name}: Expected a table [{name}]")  # noqa: TRY004  # see load_providers
    return row


def _complete(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row; that of a user needs neither sources nor all of the lists."""
    never = dt.date(1970, 1, 1)
    return {"domains": (), "hosts": (), "pop": "", "sources": (), "read": never, **row}
