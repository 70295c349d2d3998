"""Why a name could not be looked up, by a second query that shows more than the system's."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import dns.resolver

SECONDS = 2.0  # for the second query, at most


def find_dead_alias(
    host: str, seconds: float, nameservers: tuple[str, ...] = (), port: int = 53
) -> str:
    """Return what a name is, such as "an alias of old.example.com, which does not exist".

    `nameservers` and `port` replace those of the system. Returns "" if the name has an address or
    no CNAME record, or if the DNS does not answer. RFC 1034 section 3.6.2.
    """
    import dns.message
    import dns.resolver

    error = _query(host, seconds, nameservers, port)
    if isinstance(error, dns.resolver.NXDOMAIN):
        return describe_alias(host, str(error.canonical_name))
    if isinstance(error, dns.message.ChainTooLong):
        return "an alias that leads to itself"
    return ""


def describe_failure(
    host: str, seconds: float, nameservers: tuple[str, ...] = (), port: int = 53
) -> str:
    """Return how the name servers failed, "" if they answer now."""
    import dns.exception
    import dns.resolver

    error = _query(host, seconds, nameservers, port)
    if isinstance(error, dns.resolver.NoNameservers):
        return describe_nameservers(error)
    if isinstance(error, dns.exception.Timeout):
        return "no name server replied"
    return ""


def make_resolver(seconds: float, nameservers: tuple[str, ...], port: int) -> dns.resolver.Resolver:
    """Return a resolver for a query of some seconds, by these name servers or the system's.

    Raises DNSException, OSError: the system has none.
    """
    import dns.resolver

    resolver = dns.resolver.Resolver(configure=not nameservers)
    if nameservers:
        resolver.nameservers, resolver.port = list(nameservers), port
    resolver.lifetime = seconds
    return resolver


def _query(host: str, seconds: float, nameservers: tuple[str, ...], port: int) -> Exception | None:
    import dns.exception

    try:
        make_resolver(seconds, nameservers, port).resolve(host, "A", search=False)
    except (dns.exception.DNSException, OSError) as error:
        return error
    return None


def describe_alias(name: str, target: str) -> str:
    """Return that a name without an address is an alias, by its last CNAME; "" for no alias."""
    target = target.removesuffix(".").lower()
    if target == name.removesuffix(".").lower():
        return ""
    return f"an alias of {target}, which does not exist"


def describe_nameservers(error: dns.resolver.NoNameservers) -> str:
    """Return which name server failed and how, such as "192.0.2.1 replied SERVFAIL"."""
    from dns import rcode

    failures: dict[str, str] = {}  # the last one of each server
    for server, by_tcp, _, problem, response in error.kwargs.get("errors") or ():
        address = str(server).removeprefix("Do53:").partition("@")[0]
        if response:
            failures[address] = f"replied {rcode.to_text(response.rcode())}"
        else:
            reason = getattr(problem, "strerror", None) or "no valid reply"
            failures[address] = f"failed {'by TCP ' if by_tcp else ''}({reason})"
    servers = ", ".join(f"{address} {failed}" for address, failed in failures.items())
    return f"the name server {servers}" if servers else ""
