"""The search for the POP3 server of a mail address: SRV records, autoconfig, and guesses.

RFC 6186; Mozilla's autoconfig; names that most hosts use. All are queried side by side.

Answers of the DNS can be forged, and TLS proves only that a server has the name that was looked up.
So a server counts as vouched for if it is in the mail domain, or if a file that came by https from
the mail domain names it. For any other server a person decides: RFC 6186 section 6.
"""

from __future__ import annotations

import random
import time
from concurrent.futures import wait
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from restante.client import mail_address
from restante.client.discovery import autoconfig
from restante.client.discovery.sources import (
    DeadAliasError,
    LookupFailedError,
    NetworkSources,
    NoDomainError,
    NoSuchNameError,
    NotFoundError,
    NullMxError,
    SilentHostError,
)
from restante.client.options import USUAL_PORTS
from restante.net import daemon_threads, host_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from restante.client.discovery.sources import DiscoverySources, SrvRecord
    from restante.client.mail_address import MailAddress
    from restante.client.options import Tls

SECONDS = 10.0
TOO_LATE = "no reply in time"
NO_REPLY_FROM = "no reply came in time from"
NOT_OFFERED = 'not offered: the target of the record is "."'  # RFC 6186 section 3.4
QUERY_SECONDS = 5.0  # for one query
MAX_SERVERS = 6  # that one source may name
MAX_EXCHANGERS = 3  # that are tried, the preferred ones
GUESSES = ("pop.{}", "pop3.{}", "mail.{}", "{}")
_SERVICES: tuple[tuple[str, Tls], ...] = (("_pop3s", "implicit"), ("_pop3", "starttls"))
_BEST_FIRST: dict[Tls, int] = {"implicit": 0, "starttls": 1, "none": 2}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A server that may be the one.

    Attributes:
        vouched: it is in the mail domain, or the mail domain named it by https.
    """

    host: str
    port: int
    tls: Tls
    user: str
    source: str
    vouched: bool = False


@dataclass(frozen=True, slots=True)
class DiscoveryNote:
    """The answer of one source.

    Attributes:
        note: why there is nothing.
        verdict: the one of `pop3 check` if no other source has a server: no-server, no-domain,
            dns-temp; "" with candidates.
    """

    source: str
    candidates: tuple[Candidate, ...]
    seconds: float
    note: str = ""
    verdict: str = ""


@dataclass(frozen=True, slots=True)
class Discovery:
    """The answers of all sources, and the server that is chosen from them.

    Attributes:
        skipped: servers that the domain prefers to the winner, but that accept no connection.
    """

    address: str
    domain: str
    findings: tuple[DiscoveryNote, ...]
    winner: Candidate | None
    skipped: tuple[Candidate, ...] = ()


T = TypeVar("T")
R = TypeVar("R")
Query: TypeAlias = "Callable[[], Iterable[Candidate]]"


def discover(
    address: str, timeout: float = SECONDS, sources: DiscoverySources | None = None
) -> Discovery:
    """Return the answers of all sources about an address, after `timeout` seconds at most.

    Raises ValueError: an invalid address.
    """
    parsed = mail_address.parse_address(address)
    ends = time.monotonic() + timeout
    sources = sources or NetworkSources(
        min(timeout, QUERY_SECONDS), domain=parsed.domain, ends=ends
    )
    findings = _query_all(_queries(parsed, sources, ends), ends)
    ranked = _rank(findings)
    index = _results({0: partial(_find_reachable, ranked, sources)}, ends).get(0, 0)
    winner = ranked[index] if ranked else None
    return Discovery(address, parsed.domain, tuple(findings), winner, tuple(ranked[:index]))


def _queries(address: MailAddress, sources: DiscoverySources, ends: float) -> dict[str, Query]:
    """Return a query for each source, the most trusted first."""
    queries: dict[str, Query] = {}
    for service, tls in _SERVICES:
        name = f"{service}._tcp.{address.domain}"
        queries[f"SRV {name}"] = _srv(name, tls, address, sources)
    for source, url in autoconfig.urls(address).items():
        queries[source] = _autoconfig(source, url, address, sources)
    queries["guesses"] = _guesses(address, sources, ends)
    return queries


def _query_all(queries: dict[str, Query], ends: float) -> list[DiscoveryNote]:
    """Run all queries at once. A source without an answer in time has no servers."""
    begun = time.monotonic()
    notes = _results(
        {name: partial(_measure, name, query) for name, query in queries.items()}, ends
    )
    late = time.monotonic() - begun
    nothing = LookupFailedError(TOO_LATE)
    return [
        notes.get(name) or DiscoveryNote(name, (), late, str(nothing), nothing.verdict)
        for name in queries
    ]


def _results(work: Mapping[T, Callable[[], R]], ends: float) -> dict[T, R]:
    """Run all work side by side, and return the results that come in time."""
    futures = {key: daemon_threads.start_future(do, "discover") for key, do in work.items()}
    wait(futures.values(), max(0.0, ends - time.monotonic()))
    return {key: future.result() for key, future in futures.items() if future.done()}


def _measure(name: str, query: Query) -> DiscoveryNote:
    begun = time.monotonic()
    try:
        candidates, note, verdict = _usable(query()), "", ""
    except NotFoundError as nothing:
        candidates, note, verdict = (), str(nothing), nothing.verdict
    return DiscoveryNote(name, candidates, time.monotonic() - begun, note, verdict)


def _usable(candidates: Iterable[Candidate]) -> tuple[Candidate, ...]:
    """Return the first usable servers. Raises NotFoundError: none of the candidates is usable.

    A server on this machine is rejected: a service on loopback is for this machine alone.
    """
    usable, refused = [], ""
    for candidate in candidates:
        if mail_address.is_this_machine(candidate.host):
            refused = f"it names this machine ({candidate.host}), which is not allowed"
        elif not host_names.is_name(candidate.host) or not candidate.port:
            refused = f"it names {candidate.host}:{candidate.port}, which is not a valid address"
        else:
            usable.append(candidate)
        if len(usable) == MAX_SERVERS:
            break  # thousands of records cost no more
    if refused and not usable:
        raise NotFoundError(refused)
    return tuple(usable)


def _srv(name: str, tls: Tls, address: MailAddress, sources: DiscoverySources) -> Query:
    def query() -> Iterable[Candidate]:
        records = sources.srv(name)
        if all(not record.host for record in records):
            raise NotFoundError(NOT_OFFERED)
        source = f"SRV {name}"
        return (
            Candidate(r.host, r.port, tls, str(address), source, _is_below(r.host, address))
            for r in sort_srv_records(records)
        )

    return query


def _is_below(host: str, address: MailAddress) -> bool:
    return mail_address.is_below(host, address.domain)


def sort_srv_records(records: Sequence[SrvRecord]) -> list[SrvRecord]:
    """Return SRV records in the order in which to try them: RFC 2782, priority, then weight."""
    drawn = [(r.priority, -(random.random() ** (1 / max(r.weight, 0.01))), r) for r in records]  # noqa: S311  # balancing, no secret
    return [record for _, _, record in sorted(drawn, key=lambda d: d[:2]) if record.host]


def _autoconfig(source: str, url: str, address: MailAddress, sources: DiscoverySources) -> Query:
    own = autoconfig.is_from_domain(url, address)

    def query() -> Iterable[Candidate]:
        try:
            servers = autoconfig.parse(sources.fetch(url), address)
        except autoconfig.NoAutoconfigError as error:
            raise NotFoundError(str(error)) from None
        return [
            Candidate(i.host, i.port, i.tls, i.user, source, own or _is_below(i.host, address))
            for i in servers
        ]

    return query


def _guesses(address: MailAddress, sources: DiscoverySources, ends: float) -> Query:
    ends -= (ends - time.monotonic()) / 10  # a result that arrived before the deadline counts

    def query() -> Iterable[Candidate]:
        names = [pattern.format(address.domain) for pattern in GUESSES]
        exchangers, problem = _exchangers(address, sources)
        hosts = list(dict.fromkeys([*names, *exchangers]))
        tries = {host: partial(_open_ports, sources, host) for host in hosts}
        results = _results(tries, ends)
        candidates = [
            Candidate(host, port, tls, str(address), "guesses", _is_below(host, address))
            for host, ports in results.items()
            for port, tls in ports or ()
        ]
        if not candidates:
            silent = [host for host in hosts if results.get(host) is None]
            nothing = _describe_nothing(hosts[: len(GUESSES)], silent)
            no_mx = "" if exchangers else "; the domain has no MX record, so it may have no mail"
            raise problem or NotFoundError(f"{nothing}{no_mx}")
        return sorted(candidates, key=lambda candidate: _BEST_FIRST[candidate.tls])

    return query


def _describe_nothing(hosts: Sequence[str], silent: Sequence[str]) -> str:
    """Return in words that no host has a server, and which ones gave no reply at all."""
    others = [host for host in hosts if host not in silent]
    nothing = f"nothing answers at {', '.join(others)}" if others else ""
    if not silent:
        return nothing
    no_reply = f"{NO_REPLY_FROM} {', '.join(silent)}: a firewall may drop the connections"
    return "; ".join(filter(None, (no_reply, nothing)))


def _exchangers(
    address: MailAddress, sources: DiscoverySources
) -> tuple[list[str], NotFoundError | None]:
    """Return the first mail exchangers, and why no name can be guessed without them."""
    try:
        return sources.mx(address.domain)[:MAX_EXCHANGERS], None
    except NoSuchNameError:
        if mail_address.is_this_machine(address.domain):
            return [], None
        dots = "" if "." in address.domain else ": it has no dot, as example.com has"
        return [], NoDomainError(f"the domain {address.domain} does not exist{dots}")
    except DeadAliasError as problem:
        return [], DeadAliasError(f"the domain {address.domain} is {problem}")
    except (LookupFailedError, NullMxError) as problem:
        return [], problem
    except NotFoundError:
        return [], None


def _open_ports(sources: DiscoverySources, host: str) -> list[tuple[int, Tls]] | None:
    """Return the ports that accept connections, None if the host gives no reply at any."""
    ports: list[tuple[int, Tls]] = []
    silent = True
    for port, tls in USUAL_PORTS:
        try:
            sources.reachable(host, port)
            ports.append((port, tls))
        except SilentHostError:
            continue
        except NotFoundError:
            pass
        silent = False
    return None if silent else ports


def _accepts_connection(sources: DiscoverySources, host: str, port: int) -> bool:
    try:
        sources.reachable(host, port)
    except NotFoundError:
        return False
    return True


def _rank(findings: Sequence[DiscoveryNote]) -> list[Candidate]:
    """Return the servers of the most trusted source, TLS from the first octet first.

    The two SRV records count as one source: RFC 6186 section 3.3. A server that the mail domain's
    own file vouches for goes before one that only the DNS names, and does not give way to it.
    """
    count = len(_SERVICES)
    srv = [c for f in findings[:count] for c in f.candidates]
    groups = [srv, *(list(f.candidates) for f in findings[count:])]
    own = groups[: 1 + autoconfig.OWN_PLACES]
    vouched = [[c for c in group if c.vouched] for group in own]
    group = next(filter(None, (*vouched, *groups)), [])
    ranked = sorted(group, key=lambda c: (not c.vouched, _BEST_FIRST[c.tls]))
    return [c for c in ranked if c.vouched == ranked[0].vouched]


def _find_reachable(ranked: Sequence[Candidate], sources: DiscoverySources) -> int:
    """Return the place of the first server that accepts a connection, 0 for none: RFC 2782.

    A server without another one after it is not tried, because the client does that next.
    """
    if len(ranked) < 2:
        return 0
    tried = (_accepts_connection(sources, c.host, c.port) for c in ranked)
    return next((index for index, accepts in enumerate(tried) if accepts), 0)
