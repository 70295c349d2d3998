"""The addresses of the server, and those that accept a connection."""

from __future__ import annotations

import contextlib
import socket
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from restante.client import name_resolution
from restante.client.discovery import lookup
from restante.client.options import USUAL_PORTS
from restante.client.session import ClientSession
from restante.client.socket_driver import SocketDriver
from restante.diagnosis import suggestions, wording
from restante.diagnosis.context import CheckAborted
from restante.net import connecting
from restante.net.addresses import is_address, is_private
from restante.protocol.errors import Phase, ReplyTimeoutError, ServerUnreachableError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from restante.client.discovery.discover import Discovery
    from restante.client.options import Options
    from restante.diagnosis.context import CheckContext
    from restante.diagnosis.report import Step

    _Troubles = Mapping[str, ServerUnreachableError]

SLOW_LOOKUP = 1.0  # seconds for a name, from which on they are named
A_MOMENT = 2.0  # seconds for a look beside the way
NO_NAME = "no-such-name.invalid"  # it cannot exist: RFC 6761 section 6.4
OTHERS_WAIT = 4.0  # seconds for other addresses after one that works: two lost packets at most


def discover(check: CheckContext) -> None:
    """Find the server of an address. RFC 6186, autoconfig, guesses."""
    with check.step("discover") as step:
        discovery = lookup.discover_server(check.request.account, min(check.left, 20))
        check.discovery = discovery
        winner = discovery.winner
        if winner is None:
            step.text = f"no source names a POP3 server for {discovery.domain}"
            step.details = [(f.source, f.note) for f in discovery.findings if f.note]
        check.target = lookup.choose_server(discovery)
        if winner is not None:
            step.text = f"{winner.source} -> {winner.host}:{winner.port}"
        if discovery.skipped:
            dead = ", ".join(f"{c.host}:{c.port}" for c in discovery.skipped)
            check.warn(step, "preferred-dead", f"no connection to {dead}")
        _check_vouched(check, step, discovery)
    check.request.target = check.target


def _check_vouched(check: CheckContext, step: Step, discovery: Discovery) -> None:
    """Ask about a server of another domain, where a password is to go to it."""
    try:
        lookup.check_vouched(discovery)
    except lookup.OtherDomainError as error:
        request, begun = check.request, time.monotonic()
        if request.password is None or (request.confirm and request.confirm(error)):
            step.details.append(("note", f"{check.target.host} is not in {discovery.domain}"))
            took = time.monotonic() - begun
            check.idle += took
            check.ends += took
            return
        request.target = check.target
        step.text = ""
        check.fail(step, error, suggestions.check_command(request))
        raise CheckAborted from error


def connect(check: CheckContext) -> None:
    """Try every address of the host, and keep the first connection that is made."""
    with check.step("connect") as step:
        try:
            seconds = min(check.request.options.connect_seconds, check.left)
            begun = time.monotonic()
            addresses = name_resolution.addresses(check.target, check.request.options, seconds)
            if (took := time.monotonic() - begun) > SLOW_LOOKUP:
                step.details.append(("note", f"the look-up of the name took {took:.1f} s of this"))
        except ServerUnreachableError as error:
            _report_unresolved(check, step, error)
            raise CheckAborted from error
        socks, troubles = _try_all(check, step, addresses)
        if not socks:
            _report_unreachable(check, step, troubles)
            raise CheckAborted
        _warn_of_dead_addresses(check, step, socks, troubles)
        check.address, sock = next(iter(socks.items()))
        for other in list(socks.values())[1:]:
            other.close()
    if check.request.guess:
        _guess(check)
    session = ClientSession(check.target, session_options(check), address=check.address)
    check.driver = SocketDriver(session, sock)


def session_options(check: CheckContext) -> Options:
    """Return the options of a session that has the rest of the check's time."""
    return replace(check.request.options, total_seconds=check.left, trace=check.trace)


def reconnect(check: CheckContext, options: Options) -> SocketDriver:
    """Return one more connection to the same address. Raises ServerUnreachableError."""
    target = check.target
    seconds = min(options.connect_seconds, check.left)
    try:
        sock = socket.create_connection((check.address, target.port), seconds)
    except OSError as error:
        raise name_resolution.connect_error(check.address, target.port, error, seconds) from None
    options = replace(options, total_seconds=check.left)
    return SocketDriver(ClientSession(target, options, address=check.address), sock)


def _try_all(
    check: CheckContext, step: Step, addresses: list[str]
) -> tuple[dict[str, socket.socket], dict[str, ServerUnreachableError]]:
    """Try all addresses at once. Those that are late after the first one do not make it slow."""
    if check.over:
        raise ReplyTimeoutError("out-of-time", "", phase=Phase.CONNECT)
    port, begun = check.target.port, time.monotonic()
    seconds = min(check.request.options.connect_seconds, check.left)
    later = min(OTHERS_WAIT, seconds)
    attempts = connecting.connect_all(addresses, port, seconds, later)
    any_works = any(isinstance(attempt.outcome, socket.socket) for attempt in attempts.values())
    socks: dict[str, socket.socket] = {}
    troubles: dict[str, ServerUnreachableError] = {}
    parts = []
    for address, (outcome, took) in attempts.items():
        if isinstance(outcome, socket.socket):
            socks[address] = outcome
            parts.append(f"{address} ok {wording.milliseconds(took)}")
        else:
            waited = later if any_works else seconds
            troubles[address] = name_resolution.connect_error(address, port, outcome, waited)
            parts.append(f"{address} {troubles[address].id.removeprefix('tcp-')}")
    if socks:
        first = min(attempts[address].seconds for address in socks)
        check.idle += time.monotonic() - begun - first
    step.text = f"port {port}: {'   '.join(parts)}"
    facts = dict.fromkeys(socks, "ok")
    check.report.facts["addresses"] = facts | {a: trouble.id for a, trouble in troubles.items()}
    return socks, troubles


def _warn_of_dead_addresses(
    check: CheckContext, step: Step, works: Collection[str], troubles: _Troubles
) -> None:
    """Report the addresses that fail beside those that work, if this machine has routes to them."""
    unrouted = [address for address in troubles if not connecting.has_route(address)]
    step.details += [("note", f"this machine has no route to {address}") for address in unrouted]
    failed = {address: troubles[address] for address in troubles if address not in unrouted}
    if not failed:
        return
    only_ipv6 = all(":" in address for address in failed)
    name = "ipv6-broken" if only_ipv6 and all("." in a for a in works) else "address-dead"
    text = "; ".join(trouble.text for trouble in failed.values())
    check.warn(step, name, text, {"addresses": list(failed)})


def _report_unresolved(check: CheckContext, step: Step, error: ServerUnreachableError) -> None:
    """Report a name that does not resolve, and what does: IPv4 alone, or another server."""
    if error.id == "dns-temp" and not check.request.options.family and _has_ipv4(check):
        text = "the look-up for IPv4 alone succeeds; a name server fails at that for IPv6"
        step.details.append(("note", text))
        check.fail(step, error, suggestions.check_command(check.request, flags=("-4",)))
    elif check.request.options.family:
        check.fail(step, error)  # another server of the domain may lack such addresses, too
    else:
        check.fail(step, error, *_suggest_another(check, step))


def _has_ipv4(check: CheckContext) -> bool:
    host, port = check.target.host, check.target.port
    try:
        return bool(connecting.resolve(host, port, min(A_MOMENT, check.left), socket.AF_INET))
    except OSError:  # TimeoutError is one
        return False


def _suggest_another(check: CheckContext, step: Step) -> list[str]:
    """Return the command for another server that the mail domain has, none if it has no other."""
    user = check.target.user or check.request.account
    if check.discovery is None and "@" in user:
        with contextlib.suppress(ValueError):
            check.discovery = lookup.discover_server(user, min(check.left, 3))
    another = check.discovery and lookup.find_another(check.discovery, check.target.host)
    if not another:
        return []
    text = f"{another.host}:{another.port} ({another.source})"
    step.details.append(("another server", text))
    return [suggestions.check_command(check.request, another.host, another.port, tls=another.tls)]


def _report_unreachable(check: CheckContext, step: Step, troubles: _Troubles) -> None:
    """Report why no address accepts a connection, and which other port does."""
    error = name_resolution.likeliest_cause(list(troubles.values()))
    if error.id == "tcp-unreachable":
        step.details.append(("reason", error.text))
    _note_odd_addresses(check, step, list(troubles))
    next_commands = []
    for port, tls in USUAL_PORTS:
        if port == check.target.port:
            continue
        address = _find_open(list(troubles), port, min(A_MOMENT, check.left))
        if address is not None:
            step.details.append(("note", f"port {port} of {address} accepts connections"))
            next_commands.append(suggestions.check_command(check.request, port=port, tls=tls))
    if check.discovery is not None:
        next_commands += _suggest_another(check, step)
    check.fail(step, error, *next_commands)


def _note_odd_addresses(check: CheckContext, step: Step, addresses: list[str]) -> None:
    """Note what explains addresses that cannot be reached: their kind, or a DNS that is false."""
    if check.target.host in addresses:
        return
    if all(map(is_private, addresses)):
        text = (
            f"{check.target.host} has private addresses only, which lead to it in its network alone"
        )
        step.details.append(("note", text))
    if all(":" in address for address in addresses) and check.request.options.family != 6:
        step.details.append(("note", f"{check.target.host} has IPv6 addresses only"))
    note_false_dns(check, step)


def note_false_dns(check: CheckContext, step: Step) -> None:
    """Note a DNS that has an address for every name, as that of a Wi-Fi with a sign-in page."""
    target, given = check.target, check.request.options.resolve
    if target.loopback or is_address(target.host) or (target.host.lower(), target.port) in given:
        return
    try:
        false = connecting.resolve(NO_NAME, target.port, min(A_MOMENT, check.left))
    except OSError:  # TimeoutError is one
        return
    text = (
        f"the DNS of this network gives {false[0]} for names that do not exist, such as {NO_NAME}"
    )
    step.details.append(("note", text))


def _find_open(addresses: list[str], port: int, seconds: float) -> str | None:
    """Return the first of some addresses that accepts a connection to a port, None for none."""
    attempts = connecting.connect_all(addresses, port, seconds, 0)
    opened = {a: e.outcome for a, e in attempts.items() if isinstance(e.outcome, socket.socket)}
    for sock in opened.values():
        sock.close()
    return next(iter(opened), None)


def _guess(check: CheckContext) -> None:
    """Identify the protocol of an unusual port if the user did not name it."""
    from restante.client import port_probe

    if (
        port_probe.identify_protocol(check.address, check.target.port, min(A_MOMENT, check.left))
        == "TLS"
    ):
        check.target = replace(check.target, tls="implicit")
        check.request.target = check.target
