"""Where the server is, and which of its addresses take a connection."""

from __future__ import annotations

import ipaddress
import socket
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from restante.client import name_resolution
from restante.client.discovery import lookup
from restante.client.options import USUAL_PORTS
from restante.client.session import ClientSession
from restante.client.socket_driver import SocketDriver
from restante.diagnosis import port_probe, suggestions, wording
from restante.diagnosis.context import CheckAborted
from restante.protocol.errors import (
    OtherDomainError,
    Phase,
    ReplyTimeoutError,
    ServerUnreachableError,
)

if TYPE_CHECKING:
    from restante.client.discovery.discover import Discovery
    from restante.client.options import Options, Target
    from restante.diagnosis.context import CheckContext
    from restante.diagnosis.report import Step

A_MOMENT = 2.0  # seconds for a look beside the way


def discover(work: CheckContext) -> None:
    """Find the server of an address. RFC 6186, autoconfig, guesses."""
    with work.step("discover") as step:
        found = lookup.discover_server(work.question.account, min(work.left, 20))
        winner = found.winner
        if winner is None:
            step.text = f"no source names a POP3 server for {found.domain}"
            step.details = [(f.source, f.note) for f in found.findings if f.note]
        work.target = lookup.choose_server(found)
        if winner is not None:
            step.text = f"{winner.source} -> {winner.host}:{winner.port}"
        _check_vouched(work, step, found)
    work.question.target = work.target


def _check_vouched(work: CheckContext, step: Step, found: Discovery) -> None:
    """Ask about a server of another domain, where a password is to go to it."""
    try:
        lookup.check_vouched(found)
    except OtherDomainError as error:
        question, begun = work.question, time.monotonic()
        if question.password is None or (question.confirm and question.confirm(error)):
            step.details.append(("note", f"{work.target.host} is not in {found.domain}"))
            took = time.monotonic() - begun
            work.idle += took
            work.ends += took
            return
        question.target = work.target
        step.text = ""
        work.fail(step, error, suggestions.check_command(question))
        raise CheckAborted from error


def connect(work: CheckContext) -> None:
    """Try every address of the host, and keep the first connection that is made."""
    with work.step("connect") as step:
        try:
            seconds = min(work.question.options.connect_seconds, work.left)
            found = name_resolution.addresses(work.target, work.question.options, seconds)
        except ServerUnreachableError as error:
            _report_unresolved(work, step, error)
            raise CheckAborted from error
        socks, troubles = _try_all(work, step, found)
        if not socks:
            _report_unreachable(work, step, troubles)
            raise CheckAborted
        _check_ipv6(work, step, socks, troubles)
        work.address, sock = next(iter(socks.items()))
        for other in list(socks.values())[1:]:
            other.close()
    if work.question.guess:
        _guess(work)
    session = ClientSession(work.target, session_options(work))
    work.wire = SocketDriver(session, sock)


def session_options(work: CheckContext) -> Options:
    """Return the options of a session that has the rest of the check's time."""
    return replace(work.question.options, total_seconds=work.left, trace=work.trace)


def reconnect(work: CheckContext, options: Options, target: Target | None = None) -> SocketDriver:
    """Return one more connection to the same address. Raises ServerUnreachableError."""
    target = target or work.target
    seconds = min(options.connect_seconds, work.left)
    try:
        sock = socket.create_connection((work.address, target.port), seconds)
    except OSError as error:
        raise name_resolution.connect_error(work.address, target.port, error, seconds) from None
    options = replace(options, total_seconds=work.left)
    return SocketDriver(ClientSession(target, options), sock)


def _try_all(
    work: CheckContext, step: Step, found: list[str]
) -> tuple[dict[str, socket.socket], dict[str, ServerUnreachableError]]:
    socks: dict[str, socket.socket] = {}
    troubles: dict[str, ServerUnreachableError] = {}
    said = []
    port = work.target.port
    for address in found:
        if work.over:
            if not socks and not troubles:
                raise ReplyTimeoutError("out-of-time", "", phase=Phase.CONNECT)
            break
        seconds = min(work.question.options.connect_seconds, work.left)
        begun = time.monotonic()
        try:
            socks[address] = socket.create_connection((address, port), seconds)
            said.append(f"{address} ok {wording.milliseconds(time.monotonic() - begun)}")
        except OSError as error:
            troubles[address] = name_resolution.connect_error(address, port, error, seconds)
            said.append(f"{address} {troubles[address].id.removeprefix('tcp-')}")
    step.text = f"port {port}: {'   '.join(said)}"
    facts = dict.fromkeys(socks, "ok")
    work.report.facts["addresses"] = facts | {a: trouble.id for a, trouble in troubles.items()}
    return socks, troubles


def _check_ipv6(
    work: CheckContext,
    step: Step,
    socks: dict[str, socket.socket],
    troubles: dict[str, ServerUnreachableError],
) -> None:
    """Tell where IPv6 fails and IPv4 works."""
    failed = [address for address in troubles if ipaddress.ip_address(address).version == 6]
    works = any(ipaddress.ip_address(address).version == 4 for address in socks)
    if failed and works and not any(":" in address for address in socks):
        text = f"{failed[0]}: {troubles[failed[0]].text}"
        work.warn(step, "ipv6-broken", text, {"addresses": failed})


def _report_unresolved(work: CheckContext, step: Step, error: ServerUnreachableError) -> None:
    """Tell what the mail domain offers instead of a name that does not resolve."""
    next_commands = []
    user = work.target.user or work.question.account
    if "@" in user:
        domain = user.rpartition("@")[2]
        winner = lookup.find_server(user, min(work.left, 3))
        if winner is not None and winner.host != work.target.host:
            step.details.append((f"{domain} publishes", f"{winner.host}:{winner.port}"))
            next_commands = [
                suggestions.check_command(work.question, winner.host, winner.port, tls=winner.tls)
            ]
    work.fail(step, error, *next_commands)


def _report_unreachable(
    work: CheckContext, step: Step, troubles: dict[str, ServerUnreachableError]
) -> None:
    """Tell why no address took a connection, and which port beside it does."""
    error = next(iter(troubles.values()))
    next_commands = []
    for port, tls in USUAL_PORTS:
        if port == work.target.port:
            continue
        address = next(
            (a for a in troubles if _accepts_connection(a, port, min(A_MOMENT, work.left))), None
        )
        if address is not None:
            step.details.append(("note", f"port {port} of {address} accepts connections"))
            next_commands.append(suggestions.check_command(work.question, port=port, tls=tls))
    work.fail(step, error, *next_commands)


def _accepts_connection(address: str, port: int, seconds: float) -> bool:
    try:
        socket.create_connection((address, port), seconds).close()
    except OSError:
        return False
    return True


def _guess(work: CheckContext) -> None:
    """Identify the protocol of an unusual port if the user did not name it."""
    if (
        port_probe.identify_protocol(work.address, work.target.port, min(A_MOMENT, work.left))
        == "TLS"
    ):
        work.target = replace(work.target, tls="implicit")
        work.question.target = work.target
