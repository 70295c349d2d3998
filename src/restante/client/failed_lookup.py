"""Why a name could not be looked up, by a second query that shows more than the system's."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import dns.resolver

SECONDS = 2.0  # for the second query, at most


class UnresolvedError(Exception):
    """The DNS did not say what a name has, nor that it has nothing. The text says why."""


def find_dead_alias(
    host: str, seconds: float, nameservers: tuple[str, ...] = (), port: int = 53
) -> str:
    """Return what a name is, such as "an alias of old.example.com, which does not exist".

    `nameservers` and `port` replace those of the system. Returns "" if the name has an address or
    no CNAME record, or if the DNS does not answer. RFC 1034 section 3.6.2.
    """
    import dns.resolver

    try:
        query(host, "A", seconds, nameservers, port)
    except dns.resolver.NXDOMAIN as error:
        return describe_alias(host, str(error.canonical_name))
    except (dns.resolver.NoAnswer, UnresolvedError):
        pass
    return ""


def describe_failure(
    host: str, seconds: float, nameservers: tuple[str, ...] = (), port: int = 53
) -> str:
    """Return how the look-up of a name failed, "" if the name servers answer now."""
    import dns.exception

    try:
        query(host, "A", seconds, nameservers, port)
    except UnresolvedError as error:
        return str(error)
    except dns.exception.DNSException:  # an answer of another kind
        pass
    return ""


def query(
    name: str, kind: str, seconds: float, nameservers: tuple[str, ...], port: int
) -> dns.resolver.Answer:
    """Return the records of a name. Raises NXDOMAIN, NoAnswer, UnresolvedError."""
    import dns.exception
    import dns.resolver

    ends = time.monotonic() + seconds
    try:
        resolver = dns.resolver.Resolver(configure=not nameservers)
        if nameservers:
            resolver.nameservers, resolver.port = list(nameservers), port
    except (dns.exception.DNSException, OSError, ValueError):  # an invalid address
        raise UnresolvedError("the settings of this machine have no usable name server") from None
    resolver.lifetime = seconds
    try:
        return resolver.resolve(name, kind, search=False)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        raise
    except dns.exception.Timeout:
        raise UnresolvedError("no name server replied in time") from None
    except dns.resolver.NoNameservers as error:
        reason = _describe_nameservers(error) or "the name servers failed"
        if "SERVFAIL" in reason and _answers_unverified(resolver, name, ends - time.monotonic()):
            reason += "; without the checks of DNSSEC it answers"
        raise UnresolvedError(reason) from None
    except (dns.exception.DNSException, OSError):
        raise UnresolvedError("the look-up failed") from None


def _answers_unverified(resolver: dns.resolver.Resolver, name: str, seconds: float) -> bool:
    """Return whether there is an answer without the checks of DNSSEC: RFC 4035 section 3.2.2."""
    import dns.exception
    import dns.flags
    import dns.resolver

    resolver.set_flags(dns.flags.RD | dns.flags.CD)
    resolver.lifetime = max(0.0, seconds)
    try:
        resolver.resolve(name, "A", search=False)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return True
    except (dns.exception.DNSException, OSError):
        return False
    return True


def describe_alias(name: str, target: str) -> str:
    """Return that a name without an address is an alias, by its last CNAME; "" for no alias."""
    target = target.removesuffix(".").lower()
    if target == name.removesuffix(".").lower():
        return ""
    return f"an alias of {target}, which does not exist"


def _describe_nameservers(error: dns.resolver.NoNameservers) -> str:
    """Return which name server failed and how, such as "192.0.2.1 replied SERVFAIL"."""
    from dns import message, rcode

    failures: dict[str, str] = {}  # the last one of each server
    for server, by_tcp, _, problem, response in error.kwargs.get("errors") or ():
        address = str(server).removeprefix("Do53:").partition("@")[0]
        if isinstance(problem, message.ChainTooLong):
            failures[address] = "has an alias that leads to itself"
        elif response:
            failures[address] = f"replied {rcode.to_text(response.rcode())}"
        else:
            reason = getattr(problem, "strerror", None) or "no valid reply"
            failures[address] = f"failed {'by TCP ' if by_tcp else ''}({reason})"
    servers = ", ".join(f"{address} {failed}" for address, failed in failures.items())
    return f"the name server {servers}" if servers else ""
