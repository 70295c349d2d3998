"""Where the POP3 server of a mail address is: SRV records, autoconfig, and guesses.

RFC 6186; Mozilla's autoconfig; names that most hosts use. All are asked side by side.
"""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from restante.client import autoconfig, domain
from restante.client.world import Internet, Nothing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from restante.client.domain import Address
    from restante.client.options import Tls
    from restante.client.world import Service, World

SECONDS = 10.0
GUESSES = ("pop.{}", "pop3.{}", "mail.{}", "{}")
_SERVICES: tuple[tuple[str, Tls], ...] = (("_pop3s", "implicit"), ("_pop3", "starttls"))
_BEST_FIRST: dict[Tls, int] = {"implicit": 0, "starttls": 1, "none": 2}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A server that may be the one."""

    host: str
    port: int
    tls: Tls
    user: str
    source: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What one source said."""

    source: str
    candidates: tuple[Candidate, ...]
    seconds: float
    note: str = ""  # why there is nothing


@dataclass(frozen=True, slots=True)
class Discovery:
    """All that was found out."""

    address: str
    domain: str
    findings: tuple[Finding, ...]
    winner: Candidate | None


Ask: TypeAlias = "Callable[[], Iterable[Candidate]]"


def discover(address: str, timeout: float = SECONDS, world: World | None = None) -> Discovery:
    """Return all that is known of an address's POP3 server, after `timeout` seconds at most.

    Raises ValueError: it is no address.
    """
    parsed = domain.parse(address)
    world = world or Internet(min(timeout, 5.0))
    findings = _ask_all(_sources(parsed, world), timeout)
    return Discovery(address, parsed.domain, tuple(findings), _winner(findings))


def _sources(address: Address, world: World) -> dict[str, Ask]:
    """Return the questions in the order in which their answers are believed."""
    asked: dict[str, Ask] = {}
    for service, tls in _SERVICES:
        name = f"{service}._tcp.{address.domain}"
        asked[f"SRV {name}"] = _srv(name, tls, address, world)
    for source, url in autoconfig.urls(address).items():
        asked[source] = _autoconfig(source, url, address, world)
    asked["guesses"] = _guesses(address, world)
    return asked


def _ask_all(sources: dict[str, Ask], timeout: float) -> list[Finding]:
    """Ask all at once; who is not done in time has nothing."""
    pool = ThreadPoolExecutor(len(sources), thread_name_prefix="discover")
    begun = time.monotonic()
    futures = {name: pool.submit(_timed, name, ask) for name, ask in sources.items()}
    wait(futures.values(), timeout)
    pool.shutdown(wait=False, cancel_futures=True)
    late = time.monotonic() - begun
    return [
        future.result() if future.done() else Finding(name, (), late, "did not answer in time")
        for name, future in futures.items()
    ]


def _timed(name: str, ask: Ask) -> Finding:
    begun = time.monotonic()
    try:
        found, note = tuple(ask()), ""
    except Nothing as nothing:
        found, note = (), str(nothing)
    return Finding(name, found, time.monotonic() - begun, note)


def _srv(name: str, tls: Tls, address: Address, world: World) -> Ask:
    def ask() -> Iterable[Candidate]:
        records = world.srv(name)
        if all(not record.host for record in records):
            raise Nothing('not offered: the record says "."')  # RFC 6186 section 3.4
        source = f"SRV {name}"
        return [Candidate(r.host, r.port, tls, str(address), source) for r in ordered(records)]

    return ask


def ordered(records: Sequence[Service]) -> list[Service]:
    """Return SRV records in the order in which to try them: RFC 2782, priority, then weight."""
    drawn = [(r.priority, -(random.random() ** (1 / max(r.weight, 0.01))), r) for r in records]  # noqa: S311  # balancing, no secret
    return [record for _, _, record in sorted(drawn, key=lambda d: d[:2]) if record.host]


def _autoconfig(source: str, url: str, address: Address, world: World) -> Ask:
    def ask() -> Iterable[Candidate]:
        try:
            found = autoconfig.parse(world.fetch(url), address)
        except autoconfig.NoAutoconfigError as error:
            raise Nothing(str(error)) from None
        return [Candidate(i.host, i.port, i.tls, i.user, source) for i in found]

    return ask


def _guesses(address: Address, world: World) -> Ask:
    def ask() -> Iterable[Candidate]:
        names = [pattern.format(address.domain) for pattern in GUESSES]
        hosts = list(dict.fromkeys([*names, *_exchangers(address, world)]))
        tries = [(host, port, tls) for port, tls in _PORTS for host in hosts]
        with ThreadPoolExecutor(len(tries)) as pool:
            takes = list(pool.map(lambda t: _takes(world, t[0], t[1]), tries))
        found = [
            Candidate(host, port, tls, str(address), "guesses")
            for (host, port, tls), taken in zip(tries, takes, strict=True)
            if taken
        ]
        if not found:
            raise Nothing(f"nothing listens at {', '.join(hosts[:4])}")
        return found

    return ask


_PORTS: tuple[tuple[int, Tls], ...] = ((995, "implicit"), (110, "starttls"))


def _exchangers(address: Address, world: World) -> list[str]:
    try:
        return world.mx(address.domain)
    except Nothing:
        return []


def _takes(world: World, host: str, port: int) -> bool:
    try:
        world.reachable(host, port)
    except Nothing:
        return False
    return True


def _winner(findings: Sequence[Finding]) -> Candidate | None:
    """Return the first candidate of the most trusted source, TLS from the first octet first.

    The two SRV records count as one source: RFC 6186 section 3.3.
    """
    srv = [c for f in findings[:2] for c in f.candidates]
    groups = [srv, *(list(f.candidates) for f in findings[2:])]
    for group in groups:
        if group:
            return min(group, key=lambda c: _BEST_FIRST[c.tls])
    return None
