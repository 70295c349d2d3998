"""Where the server is, and which of its addresses take a connection."""

from __future__ import annotations

import ipaddress
import socket
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from restante.client import lookup, reach
from restante.client.session import Session
from restante.client.wire import Wire
from restante.diagnosis import commands, hearing, texts
from restante.diagnosis.work import Stop
from restante.protocol.failures import OtherDomain, Stalled, Unreachable

if TYPE_CHECKING:
    from restante.client.discovery import Discovery
    from restante.client.options import Options, Target, Tls
    from restante.diagnosis.report import Step
    from restante.diagnosis.work import Work

SIBLINGS: tuple[tuple[int, Tls], ...] = ((995, "implicit"), (110, "starttls"))
A_MOMENT = 2.0  # seconds for a look beside the way


def discover(work: Work) -> None:
    """Find the server of an address. RFC 6186, autoconfig, guesses."""
    with work.step("discover") as step:
        found = lookup.discovered(work.question.account, min(work.left, 20))
        winner = found.winner
        if winner is None:
            step.text = f"nothing names a POP3 server for {found.domain}"
            step.details = [(f.source, f.note) for f in found.findings if f.note]
        work.target = lookup.chosen(found)
        if winner is not None:
            step.text = f"{winner.source} -> {winner.host}:{winner.port}"
        _check_vouched(work, step, found)
    work.question.target = work.target


def _check_vouched(work: Work, step: Step, found: Discovery) -> None:
    """Ask about a server of another domain, where a password is to go to it."""
    try:
        lookup.check_vouched(found)
    except OtherDomain as error:
        question, begun = work.question, time.monotonic()
        if question.password is None or (question.confirm and question.confirm(error)):
            step.details.append(("note", f"{work.target.host} is not in {found.domain}"))
            took = time.monotonic() - begun
            work.idle += took
            work.ends += took
            return
        question.target = work.target
        step.text = ""
        work.fail(step, error, commands.check(question))
        raise Stop from error


def connect(work: Work) -> None:
    """Try every address of the host, and keep the first connection that is made."""
    with work.step("connect") as step:
        try:
            seconds = min(work.question.options.connect_seconds, work.left)
            found = reach.addresses(work.target, work.question.options, seconds)
        except Unreachable as error:
            _unresolved(work, step, error)
            raise Stop from error
        socks, troubles = _try_all(work, step, found)
        if not socks:
            _nobody(work, step, troubles)
            raise Stop
        _check_ipv6(work, step, socks, troubles)
        work.address, sock = next(iter(socks.items()))
        for other in list(socks.values())[1:]:
            other.close()
    if work.question.guess:
        _guess(work)
    session = Session(work.target, session_options(work))
    work.wire = Wire(session, sock)


def session_options(work: Work) -> Options:
    """Return the options of a session that has the rest of the check's time."""
    return replace(work.question.options, total_seconds=work.left, trace=work.trace)


def again(work: Work, options: Options, target: Target | None = None) -> Wire:
    """Return one more connection to the same address. Raises Unreachable."""
    target = target or work.target
    seconds = min(options.connect_seconds, work.left)
    try:
        sock = socket.create_connection((work.address, target.port), seconds)
    except OSError as error:
        raise reach.refused(work.address, target.port, error, seconds) from None
    options = replace(options, total_seconds=work.left)
    return Wire(Session(target, options), sock)


def _try_all(
    work: Work, step: Step, found: list[str]
) -> tuple[dict[str, socket.socket], dict[str, Unreachable]]:
    socks: dict[str, socket.socket] = {}
    troubles: dict[str, Unreachable] = {}
    said = []
    port = work.target.port
    for address in found:
        if work.over:
            if not socks and not troubles:
                raise Stalled("out-of-time", "", phase="connect")
            break
        seconds = min(work.question.options.connect_seconds, work.left)
        begun = time.monotonic()
        try:
            socks[address] = socket.create_connection((address, port), seconds)
            said.append(f"{address} ok {texts.milliseconds(time.monotonic() - begun)}")
        except OSError as error:
            troubles[address] = reach.refused(address, port, error, seconds)
            said.append(f"{address} {troubles[address].id.removeprefix('tcp-')}")
    step.text = f"port {port}: {'   '.join(said)}"
    facts = dict.fromkeys(socks, "ok")
    work.report.facts["addresses"] = facts | {a: trouble.id for a, trouble in troubles.items()}
    return socks, troubles


def _check_ipv6(
    work: Work, step: Step, socks: dict[str, socket.socket], troubles: dict[str, Unreachable]
) -> None:
    """Tell where IPv6 fails and IPv4 works."""
    failed = [address for address in troubles if ipaddress.ip_address(address).version == 6]
    works = any(ipaddress.ip_address(address).version == 4 for address in socks)
    if failed and works and not any(":" in address for address in socks):
        text = f"{failed[0]}: {troubles[failed[0]].text}"
        work.warn(step, "ipv6-broken", text, {"addresses": failed})


def _unresolved(work: Work, step: Step, error: Unreachable) -> None:
    """Tell what the mail domain offers instead of a name that does not resolve."""
    next_commands = []
    user = work.target.user or work.question.account
    if "@" in user:
        domain = user.rpartition("@")[2]
        winner = lookup.quietly(user, min(work.left, 3))
        if winner is not None and winner.host != work.target.host:
            step.details.append((f"{domain} says", f"{winner.host}:{winner.port}"))
            next_commands = [
                commands.check(work.question, winner.host, winner.port, tls=winner.tls)
            ]
    work.fail(step, error, *next_commands)


def _nobody(work: Work, step: Step, troubles: dict[str, Unreachable]) -> None:
    """Tell why no address took a connection, and which port beside it does."""
    error = next(iter(troubles.values()))
    next_commands = []
    for port, tls in SIBLINGS:
        if port == work.target.port:
            continue
        address = next((a for a in troubles if _takes(a, port, min(A_MOMENT, work.left))), None)
        if address is not None:
            step.details.append(("but", f"{port} answers on {address}"))
            next_commands.append(commands.check(work.question, port=port, tls=tls))
    work.fail(step, error, *next_commands)


def _takes(address: str, port: int, seconds: float) -> bool:
    try:
        socket.create_connection((address, port), seconds).close()
    except OSError:
        return False
    return True


def _guess(work: Work) -> None:
    """Find out what an odd port speaks, where nobody said it."""
    if hearing.kind(work.address, work.target.port, min(A_MOMENT, work.left)) == "TLS":
        work.target = replace(work.target, tls="implicit")
        work.question.target = work.target
