"""What discovery asks of the world: names, files, ports. Tests make up a world of their own."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from restante.client.autoconfig import LIMIT

if TYPE_CHECKING:
    import ssl

REDIRECTS = 4  # that are followed to a file


class Service(NamedTuple):
    """An SRV record: RFC 2782."""

    priority: int
    weight: int
    port: int
    host: str  # "" where the service is decidedly not there


class Nothing(Exception):  # noqa: N818  # it is an answer
    """There is nothing; the text says in a few words what there is instead."""


class World(Protocol):
    """The outside. All methods raise Nothing."""

    def srv(self, name: str) -> list[Service]:
        """Return the SRV records of a name."""

    def mx(self, domain: str) -> list[str]:
        """Return the mail exchangers of a domain, the preferred first."""

    def fetch(self, url: str) -> bytes:
        """Return a file."""

    def reachable(self, host: str, port: int) -> None:
        """Return when the port takes a connection."""


@dataclass(slots=True)
class Internet:
    """The real one. `nameservers` and `dns_port` replace the system's."""

    seconds: float = 5.0  # for each question
    nameservers: tuple[str, ...] = ()
    dns_port: int = 53
    context: ssl.SSLContext | None = field(default=None)
    resolve: dict[str, str] = field(default_factory=dict)  # hosts of files, to "address:port"

    def srv(self, name: str) -> list[Service]:
        """Ask the DNS for SRV records."""
        return [
            Service(r.priority, r.weight, r.port, str(r.target).rstrip(".").lower())  # type: ignore[attr-defined]
            for r in self._ask(name, "SRV")
        ]

    def mx(self, domain: str) -> list[str]:
        """Ask the DNS for MX records."""
        records = sorted((r.preference, str(r.exchange)) for r in self._ask(domain, "MX"))  # type: ignore[attr-defined]
        return [host.rstrip(".").lower() for _, host in records if host != "."]

    def _ask(self, name: str, kind: str) -> list[object]:
        import dns.exception
        import dns.resolver

        try:
            resolver = dns.resolver.Resolver(configure=not self.nameservers)
            if self.nameservers:
                resolver.nameservers, resolver.port = list(self.nameservers), self.dns_port
            resolver.lifetime = self.seconds
            return list(resolver.resolve(name, kind, search=False))
        except dns.resolver.NXDOMAIN:
            raise Nothing("no such name") from None
        except dns.resolver.NoAnswer:
            raise Nothing("no such record") from None
        except dns.exception.Timeout:
            raise Nothing("the name server did not answer in time") from None
        except dns.resolver.NoNameservers:
            raise Nothing("the domain's name servers failed") from None
        except (dns.exception.DNSException, OSError):
            raise Nothing("the look-up failed") from None

    def fetch(self, url: str) -> bytes:
        """Get a file over https, of at most LIMIT octets, by https redirects only."""
        import httpx

        try:
            with httpx.Client(verify=self.context or True, timeout=self.seconds) as client:
                return self._follow(client, url)
        except httpx.HTTPError as error:
            raise Nothing(_reason(error)) from None
        except OSError as error:
            raise Nothing(error.strerror or "it could not be fetched") from None
        except (ValueError, httpx.InvalidURL):
            raise Nothing("the address of the file cannot be asked for") from None

    def _follow(self, client: object, url: str) -> bytes:
        import httpx

        assert isinstance(client, httpx.Client)
        place = httpx.URL(url)
        for _ in range(REDIRECTS):
            if place.scheme != "https":
                raise Nothing("it leads away from https")
            with client.stream("GET", self._moved(place), **_asking_for(place)) as answer:
                if answer.is_redirect and answer.has_redirect_location:
                    place = place.join(answer.headers["location"])
                    continue
                if answer.status_code != httpx.codes.OK:
                    raise Nothing(f"HTTP {answer.status_code}")
                return _limited(answer)
        raise Nothing("too many redirects")

    def _moved(self, place: Any) -> Any:
        """Return where a file is really asked for: elsewhere only in tests."""
        name = place.raw_host.decode("ascii")
        if name not in self.resolve:
            return place
        host, _, port = self.resolve[name].rpartition(":")
        return place.copy_with(host=host, port=int(port))

    def reachable(self, host: str, port: int) -> None:
        """Try to connect."""
        try:
            socket.create_connection((host, port), self.seconds).close()
        except socket.gaierror:
            raise Nothing("no such name") from None
        except TimeoutError:
            raise Nothing("did not answer") from None
        except (OSError, UnicodeError):
            raise Nothing("refused") from None


def _asking_for(place: Any) -> dict[str, Any]:
    """Return how to ask a server, wherever it is, for a host's file: xn-- stays as it is."""
    host = place.raw_host.decode("ascii")
    return {"headers": {"Host": host}, "extensions": {"sni_hostname": host}}


def _limited(answer: object) -> bytes:
    import httpx

    assert isinstance(answer, httpx.Response)
    octets = bytearray()
    for piece in answer.iter_bytes(16 * 1024):
        octets += piece
        if len(octets) > LIMIT:
            raise Nothing(f"it has over {LIMIT // 1024} KiB")
    return bytes(octets)


def _reason(error: Exception) -> str:
    import httpx

    if isinstance(error, httpx.TimeoutException):
        return "did not answer in time"
    text = str(error)
    if "CERTIFICATE" in text.upper():
        return "its certificate fails"
    if isinstance(error, httpx.ConnectError):
        return "refused" if "refused" in text.lower() else "no such host"
    return "the connection broke off"
