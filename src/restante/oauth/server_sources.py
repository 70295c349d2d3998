"""The sources that name the issuer of a mail server, over the network."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from restante.client import blocking
from restante.client.discovery import autoconfig
from restante.client.discovery.sources import NetworkSources, NotFoundError
from restante.client.mail_address import is_below, parse_address
from restante.oauth import pacc
from restante.oauth.discovery import RejectedToken
from restante.oauth.json_objects import read_object
from restante.protocol.errors import ServerRefusedError

if TYPE_CHECKING:
    from restante.client.discovery.autoconfig import OAuthHint
    from restante.client.mail_address import MailAddress
    from restante.client.options import Options, Target

SECONDS = 10.0  # for all files of a domain
INVALID_TOKEN = "invalid"  # noqa: S105  # a server rejects it, and says which issuer it accepts


class DomainSources(Protocol):
    """A mail domain's files and names. Both methods raise NotFoundError."""

    def fetch(self, url: str) -> bytes:
        """Return a file."""

    def txt(self, name: str) -> list[str]:
        """Return the TXT records of a name."""


@dataclass(frozen=True, slots=True)
class NetworkServerSources:
    """The sources for a mail server.

    Attributes:
        target: the server, with the user.
        options: how to connect to it.
        sources: replaces the network for the files of the domain.
    """

    target: Target
    options: Options
    sources: DomainSources | None = None

    def domain_file(self) -> OAuthHint | None:
        """Return what the domain's files say, None for nothing. The first file counts.

        They are Mozilla's autoconfig, and the IETF's PACC.
        """
        try:
            address = parse_address(self.target.user)
        except ValueError:
            return None
        ends = time.monotonic() + SECONDS
        sources = self.sources or NetworkSources(SECONDS, domain=address.domain, ends=ends)
        for url in autoconfig.urls(address).values():
            try:
                return self._read_file(sources.fetch(url), address)
            except (NotFoundError, autoconfig.NoAutoconfigError):
                continue
        try:
            octets = sources.fetch(pacc.file_url(address.domain))
            records = sources.txt(pacc.record_name(address.domain))
        except NotFoundError:
            return None
        issuer = pacc.read_issuer(octets, records, self.target.host, address.domain)
        return autoconfig.OAuthHint(issuer) if issuer else None

    def _read_file(self, octets: bytes, address: MailAddress) -> OAuthHint | None:
        """Return what a file says of the server; a file speaks only for the servers in it.

        Raises NoAutoconfigError: it is not such a file, or it is about other servers.
        """
        hosts = {server.host for server in autoconfig.parse(octets, address)}
        if self.target.host not in hosts and not is_below(self.target.host, address.domain):
            raise autoconfig.NoAutoconfigError("it names other servers")
        return autoconfig.parse_oauth(octets)

    def rejected_token(self) -> RejectedToken | None:
        """Send the server an invalid token, and return what it says, None for nothing.

        RFC 7628 section 3.2.2. Raises RemoteError: the server cannot be reached.
        """
        options = replace(self.options, token=True, mechanisms=("OAUTHBEARER",), notice=None)
        try:
            blocking.connect(self.target, INVALID_TOKEN, options=options).abort()
        except ServerRefusedError as error:
            return read_challenge(error.challenge)
        return None


def read_challenge(octets: bytes) -> RejectedToken | None:
    """Return what the JSON of a rejected token says, None for nothing."""
    challenge = read_object(octets)
    if challenge is None:
        return None
    url, scope = challenge.get("openid-configuration"), challenge.get("scope")
    return RejectedToken(
        url if isinstance(url, str) else "", scope if isinstance(scope, str) else ""
    )
