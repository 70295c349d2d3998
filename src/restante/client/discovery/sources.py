"""The sources of discovery: names, files, ports. Tests have sources of their own."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

from restante.client import name_resolution
from restante.client.discovery.autoconfig import LARGEST_FILE
from restante.client.failed_lookup import UnresolvedError, describe_alias, query
from restante.client.mail_address import is_below
from restante.client.tls import verifying_context
from restante.net.addresses import parse_host_port
from restante.net.connecting import connect

if TYPE_CHECKING:
    import ssl


class SrvRecord(NamedTuple):
    """An SRV record: RFC 2782."""

    priority: int
    weight: int
    port: int
    host: str  # "" if the domain declares that it has no such service


class NotFoundError(Exception):  # it is an answer
    """A source has no server; the text says why, in a few words.

    `verdict` is the one of `pop3 check` if no other source has a server.
    """

    verdict = "no-server"


class SilentHostError(NotFoundError):
    """A host exists, and does not answer: it is down, or a firewall drops what is sent to it."""


class NoSuchNameError(NotFoundError):
    """The DNS has neither this name nor any below it: RFC 8020."""


class NoDomainError(NotFoundError):
    """The mail domain itself does not exist."""

    verdict = "no-domain"


class DeadAliasError(NotFoundError):
    """A name is an alias, a CNAME record, of a name that does not exist."""

    verdict = "dns-alias"


class NullMxError(NotFoundError):
    """A domain declares that it has no mail: RFC 7505."""

    verdict = "no-mail"


class LookupFailedError(NotFoundError):
    """The DNS gave no answer, so there may be something."""

    verdict = "dns-temp"


class DiscoverySources(Protocol):
    """The network, as discovery needs it. All methods raise NotFoundError or one of its kinds."""

    def srv(self, name: str) -> list[SrvRecord]:
        """Return the SRV records of a name."""

    def mx(self, domain: str) -> list[str]:
        """Return the mail exchangers of a domain, the preferred first."""

    def fetch(self, url: str) -> bytes:
        """Return a file."""

    def reachable(self, host: str, port: int) -> None:
        """Return if the port accepts a connection, and raise if not."""


@dataclass(slots=True)
class NetworkSources:
    """The DNS, HTTPS and TCP. `nameservers` and `dns_port` replace those of the system.

    Attributes:
        seconds: the time for each query.
        domain: the mail domain, within which redirects to a file stay.
        ends: when the time for all queries is over, by time.monotonic().
        resolve: addresses as "host:port" by the hosts of files, in place of asking the DNS.
    """

    seconds: float = 5.0
    nameservers: tuple[str, ...] = ()
    dns_port: int = 53
    context: ssl.SSLContext | None = field(default=None)
    resolve: dict[str, str] = field(default_factory=dict)
    domain: str = ""
    ends: float = float("inf")

    def srv(self, name: str) -> list[SrvRecord]:
        """Ask the DNS for SRV records."""
        return [
            SrvRecord(r.priority, r.weight, r.port, _name(r.target))  # type: ignore[attr-defined]
            for r in self._query(name, "SRV")
        ]

    def mx(self, domain: str) -> list[str]:
        """Ask the DNS for MX records. Raises NullMxError: the only one has the target "."."""
        records = sorted((r.preference, _name(r.exchange)) for r in self._query(domain, "MX"))  # type: ignore[attr-defined]
        if records and not any(host for _, host in records):
            raise NullMxError('it declares that it has no mail: its MX record has the target "."')
        return [host for _, host in records if host]

    def txt(self, name: str) -> list[str]:
        """Ask the DNS for TXT records. The parts of each are joined, as RFC 7208 section 3.3 does.

        Raises NotFoundError.
        """
        records = self._query(name, "TXT")
        return [b"".join(r.strings).decode("ascii", "replace") for r in records]  # type: ignore[attr-defined]

    def _query(self, name: str, kind: str) -> list[object]:
        import dns.resolver

        seconds = self._deadline() - time.monotonic()
        try:
            return list(query(name, kind, seconds, self.nameservers, self.dns_port))
        except dns.resolver.NXDOMAIN as error:
            if alias := describe_alias(name, str(error.canonical_name)):
                raise DeadAliasError(alias) from None
            raise NoSuchNameError("no such name") from None
        except dns.resolver.NoAnswer:
            raise NotFoundError("no such record") from None
        except UnresolvedError as error:
            raise LookupFailedError(str(error)) from None

    def fetch(self, url: str) -> bytes:
        """Get a file over https, of at most LARGEST_FILE octets, by https redirects only."""
        from restante.net.http import HttpClient, HttpError

        try:
            client = HttpClient(
                context=self.context or verifying_context(),
                ends=self._deadline(),
                largest=LARGEST_FILE,
                connect=self._connect,
                may_lead_to=lambda host: bool(self.domain) and is_below(host, self.domain),
            )
            return client.get(url)
        except HttpError as error:
            raise NotFoundError(str(error)) from None
        except OSError as error:
            raise NotFoundError(error.strerror or "it could not be fetched") from None

    def _connect(self, host: str, port: int, ends: float) -> socket.socket:
        if host in self.resolve:
            host, port = parse_host_port(self.resolve[host])
            return connect([host], port, ends)
        return name_resolution.connect_public(host, port, ends)

    def reachable(self, host: str, port: int) -> None:
        """Try to connect, to public addresses only."""
        try:
            name_resolution.connect_public(host, port, self._deadline()).close()
        except socket.gaierror:
            raise NotFoundError("no such name") from None
        except TimeoutError:
            raise SilentHostError("no reply") from None
        except (OSError, UnicodeError):
            raise NotFoundError("refused") from None

    def _deadline(self) -> float:
        """Return the end of a query that begins now.

        Raises LookupFailedError: the time for all queries is over.
        """
        now = time.monotonic()
        if now >= self.ends:
            raise LookupFailedError("no reply in time")
        return min(now + self.seconds, self.ends)


def _name(name: object) -> str:
    """Return a name out of the DNS without the dot of the root."""
    return str(name).removesuffix(".").lower()
