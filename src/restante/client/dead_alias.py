"""Whether a name that has no address is an alias of a name that does not exist: RFC 1034 3.6.2."""

from __future__ import annotations


def find_dead_alias(
    host: str, seconds: float, nameservers: tuple[str, ...] = (), port: int = 53
) -> str:
    """Return what a name is, such as "an alias of old.example.com, which does not exist".

    `seconds` is the time for it. `nameservers` and `port` replace those of the system. Returns ""
    if the name has an address or no CNAME record, or if the DNS does not answer.
    """
    import dns.exception
    import dns.resolver

    try:
        resolver = dns.resolver.Resolver(configure=not nameservers)
        if nameservers:
            resolver.nameservers, resolver.port = list(nameservers), port
        resolver.lifetime = seconds
        resolver.resolve(host, "A", search=False)
    except dns.resolver.NXDOMAIN as error:
        return describe_alias(host, str(error.canonical_name))
    except (dns.exception.DNSException, OSError):
        pass
    return ""


def describe_alias(name: str, target: str) -> str:
    """Return what a name without address is by the end of its CNAME records, "" for no alias."""
    target = target.removesuffix(".").lower()
    if target == name.removesuffix(".").lower():
        return ""
    return f"an alias of {target}, which does not exist"
