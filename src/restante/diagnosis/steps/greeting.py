"""The greeting and CAPA, and which port it is that says nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.client import maildrop
from restante.client import session as sessions
from restante.diagnosis import port_probe, suggestions
from restante.diagnosis.context import CheckAborted
from restante.diagnosis.steps import connect
from restante.protocol.errors import MalformedReplyError, Phase, RemoteError, ReplyTimeoutError

if TYPE_CHECKING:
    from restante.diagnosis.context import CheckContext
    from restante.diagnosis.report import Step
    from restante.protocol.client.replies import Status

LONGEST = 512  # octets of a reply's first line, with CR LF: RFC 1939 section 3
FIRST_WAIT = 4.0  # seconds of silence after which the port is asked whether it speaks TLS

_CODES = {"SYS/TEMP": "it will pass", "SYS/PERM": "an administrator must act", "IN-USE": "in use"}


def greet(work: CheckContext) -> None:
    """Read the greeting."""
    with work.step("greeting") as step:
        try:
            greeting = work.run(sessions.greet(work.session))
        except ReplyTimeoutError as error:
            greeting = _silent(work, step, error)
        except RemoteError as error:
            if error.code in _CODES:
                step.details.append((f"[{error.code}]", _CODES[error.code]))
            if error.id == "tls-on-plain":
                _say_tls(work, step, error)
                raise CheckAborted from error
            if error.id == "greet-closed" and _speaks_tls(work):
                _say_tls(work, step, error)
                raise CheckAborted from error
            raise
        step.text = greeting.line
        octets = len(greeting.line.encode()) + len("\r\n")
        if octets > LONGEST:
            text = f"the greeting has {octets} octets, and the limit is {LONGEST}"
            work.warn(step, "long-reply", text, {"octets": octets})
        work.report.facts["greeting"] = greeting.line


def shorten_first_wait(work: CheckContext) -> None:
    """Make the first wait for a greeting a short one; see `_silent`."""
    session = work.session
    if session.tls is None:
        seconds = min(FIRST_WAIT, session.options.reply_seconds)
        work.online.set_reply_timeout(seconds)


def _silent(work: CheckContext, step: Step, error: ReplyTimeoutError) -> Status:
    """Find out whether a silent port speaks TLS or something else; if not, wait on.

    Raises CheckAborted.
    """
    if work.session.tls is None and not work.session.has_unread:
        seconds = min(connect.A_MOMENT * 2, work.left)
        answer = port_probe.probe_tls(work.address, work.target.port, seconds)
        kind = port_probe.kind_of(answer) if answer else ""
        if kind == "TLS":
            _say_tls(work, step, error)
            raise CheckAborted from error
        if kind not in ("", "POP3", "unknown"):
            line = answer.decode("latin-1").splitlines()[0][:100]
            text = f'this is an {kind} server with the greeting "{line}"'
            work.fail(step, MalformedReplyError("wrong-protocol", text, phase=Phase.GREETING))
            raise CheckAborted from error
    options = work.session.options
    work.online.set_reply_timeout(max(0.1, options.reply_seconds - FIRST_WAIT))
    work.session.continue_waiting()
    try:
        return work.run(sessions.greet(work.session))
    except ReplyTimeoutError as later:
        later.text = f"no greeting within {options.reply_seconds:g} seconds"
        raise


def _speaks_tls(work: CheckContext) -> bool:
    if work.session.tls is not None:
        return False
    answer = port_probe.probe_tls(work.address, work.target.port, min(connect.A_MOMENT, work.left))
    return bool(answer) and port_probe.kind_of(answer) == "TLS"


def _say_tls(work: CheckContext, step: Step, error: RemoteError) -> None:
    text = f"port {work.target.port} uses TLS from the first octet"
    tls = MalformedReplyError("tls-on-plain", text, phase=Phase.GREETING, command=error.command)
    command = suggestions.check_command(work.question, port=work.target.port, tls="implicit")
    work.fail(step, tls, command)


def capabilities(work: CheckContext) -> None:
    """Ask for CAPA, before TLS and after it."""
    with work.step("capa") as step:
        session = work.session
        if session.capabilities is None:
            try:
                work.run(sessions.ask_capabilities(session))
            except RemoteError as error:
                leave_capa_out(work, error)
                session = work.session
        step.text = (
            format_capabilities(session.capabilities) if session.options.capa else "left out"
        )
        if session.before_tls is not None:
            step.text = describe_changes(session.before_tls, session.capabilities)
        work.report.facts["capabilities"] = session.capabilities


def leave_capa_out(work: CheckContext, error: RemoteError) -> None:
    """Connect again and go as far as before without CAPA. Raises the error: that does not help."""
    without = maildrop.without_capa(error, work.session)
    if without is None:
        raise error
    secured = work.session.tls is not None and work.target.tls == "starttls"
    try:
        wire = connect.reconnect(work, without.options)
        try:
            wire.begin()
            wire.run(
                sessions.prepare_login(wire.session) if secured else sessions.greet(wire.session)
            )
        except RemoteError:
            wire.close()
            raise
    except RemoteError as later:
        error.others.append(str(later))
        raise error from None
    work.online.close()
    work.wire = wire
    work.session.inherit_oddities(without)


def describe_changes(before: dict[str, str] | None, after: dict[str, str] | None) -> str:
    """Return how capabilities changed with TLS."""
    old, new = format_capabilities(before).split(), format_capabilities(after).split()
    plus = [f"+{entry}" for entry in new if entry not in old]
    minus = [f"-{entry}" for entry in old if entry not in new]
    return "with TLS: " + (" ".join([*plus, *minus]) or "the same")


def format_capabilities(capabilities: dict[str, str] | None) -> str:
    """Return capabilities in a line."""
    if capabilities is None:
        return "none: the server does not support CAPA"
    return " ".join(
        f"{tag}({argument})" if argument else tag for tag, argument in capabilities.items()
    )
