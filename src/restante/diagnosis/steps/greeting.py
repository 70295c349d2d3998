"""The greeting and CAPA, and which port it is that says nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.client import session as sessions
from restante.client.attempts import without_capa
from restante.client.greeting import describe_server, read_greeting
from restante.diagnosis import port_probe, suggestions, wording
from restante.diagnosis.context import CheckAborted
from restante.diagnosis.steps import connect
from restante.protocol.errors import MalformedReplyError, Phase, RemoteError, ReplyTimeoutError

if TYPE_CHECKING:
    from restante.diagnosis.context import CheckContext
    from restante.diagnosis.report import Step
    from restante.protocol.client.replies import Status

LONGEST = 512  # octets of a reply's first line, with CR LF: RFC 1939 section 3
FIRST_WAIT = 4.0  # seconds of silence after which the port is asked what it speaks
PROBE_WAIT = 4.0  # seconds for the answer

_CODES = {"SYS/TEMP": "it will pass", "SYS/PERM": "an administrator must act", "IN-USE": "in use"}


def greet(check: CheckContext) -> None:
    """Read the greeting."""
    with check.step("greeting") as step:
        try:
            greeting = check.run(read_greeting(check.session))
        except ReplyTimeoutError as error:
            greeting = _silent(check, step, error)
        except RemoteError as error:
            if error.code in _CODES:
                step.details.append((f"[{error.code}]", _CODES[error.code]))
            is_closed = error.id == "greet-closed"
            if error.id == "tls-on-plain" or (is_closed and _is_tls_server(check)):
                _report_tls(check, step, error)
                raise CheckAborted from error
            raise
        step.text = greeting.line
        octets = len(greeting.line.encode()) + len("\r\n")
        if octets > LONGEST:
            text = f"the greeting has {octets} octets, and the limit is {LONGEST}"
            check.warn(step, "long-reply", text, {"octets": octets})
        check.report.facts["greeting"] = greeting.line


def shorten_first_wait(check: CheckContext) -> None:
    """Make the first wait for a greeting a short one; see `_silent`."""
    seconds = min(FIRST_WAIT, check.session.options.reply_seconds)
    check.connection.set_reply_timeout(seconds)


def _silent(check: CheckContext, step: Step, error: ReplyTimeoutError) -> Status:
    """Find out whether a silent port speaks TLS or something else; if not, wait on.

    The rest of a line that has begun gets the same short time again. Raises CheckAborted.
    """
    if not check.session.has_unread:
        probe = port_probe.probe_within_tls if check.session.tls else port_probe.probe_tls
        seconds = min(PROBE_WAIT, check.left)
        answer = probe(check.address, check.target.port, seconds, check.connection.socket)
        kind = port_probe.kind_of(answer)
        if kind == "TLS":
            _report_tls(check, step, error)
            raise CheckAborted from error
        if port_probe.is_another(kind):
            raise _wrong_protocol(answer) from error
    options = check.session.options
    seconds_left = max(0.1, options.reply_seconds - FIRST_WAIT)
    seconds_left = min(seconds_left, FIRST_WAIT) if check.session.has_unread else seconds_left
    check.connection.set_reply_timeout(seconds_left)
    check.session.continue_waiting()
    try:
        return check.run(read_greeting(check.session))
    except ReplyTimeoutError as later:
        later.text = f"no greeting within {options.reply_seconds:g} seconds"
        raise


def _is_tls_server(check: CheckContext) -> bool:
    if check.session.tls is not None:
        return False
    answer = port_probe.probe_tls(
        check.address, check.target.port, min(connect.A_MOMENT, check.left)
    )
    return port_probe.kind_of(answer) == "TLS"


def _wrong_protocol(answer: bytes) -> MalformedReplyError:
    text = describe_server(answer)
    return MalformedReplyError("wrong-protocol", text, phase=Phase.GREETING)


def _report_tls(check: CheckContext, step: Step, error: RemoteError) -> None:
    """Report a port that uses TLS. Raises MalformedReplyError: not for POP3."""
    seconds = min(PROBE_WAIT, check.left)
    inner = port_probe.probe_within_tls(check.address, check.target.port, seconds)
    if port_probe.is_another(port_probe.kind_of(inner)):
        raise _wrong_protocol(inner)
    text = f"port {check.target.port} uses TLS from the first octet"
    tls = MalformedReplyError("tls-on-plain", text, phase=Phase.GREETING, command=error.command)
    command = suggestions.check_command(check.request, port=check.target.port, tls="implicit")
    check.fail(step, tls, command)


def capabilities(check: CheckContext) -> None:
    """Ask for CAPA, before TLS and after it."""
    with check.step("capa") as step:
        session = check.session
        if session.capabilities is None:
            try:
                check.run(sessions.ask_capabilities(session))
            except RemoteError as error:
                leave_capa_out(check, error)
                session = check.session
        step.text = (
            format_capabilities(session.capabilities) if session.options.capa else "left out"
        )
        if session.before_tls is not None:
            step.text = describe_changes(session.before_tls, session.capabilities)
        check.report.facts["capabilities"] = session.capabilities


def leave_capa_out(check: CheckContext, error: RemoteError) -> None:
    """Connect again and go as far as before without CAPA. Raises the error: that does not help."""
    without = without_capa(error, check.session)
    if without is None:
        raise error
    secured = check.session.tls is not None and check.target.tls == "starttls"
    try:
        driver = connect.reconnect(check, without.options)
        try:
            driver.begin()
            driver.run(
                sessions.prepare_login(driver.session) if secured else read_greeting(driver.session)
            )
        except RemoteError:
            driver.close()
            raise
    except RemoteError as later:
        error.others.append(str(later))
        raise error from None
    check.connection.close()
    check.driver = driver
    check.session.inherit_oddities(without)


def describe_changes(before: dict[str, str] | None, after: dict[str, str] | None) -> str:
    """Return how capabilities changed with TLS."""
    old, new = wording.capabilities(before), wording.capabilities(after)
    plus = [f"+{entry}" for entry in new if entry not in old]
    minus = [f"-{entry}" for entry in old if entry not in new]
    return "with TLS: " + (" ".join([*plus, *minus]) or "the same")


def format_capabilities(capabilities: dict[str, str] | None) -> str:
    """Return capabilities in a line."""
    if capabilities is None:
        return "none: the server does not support CAPA"
    return " ".join(wording.capabilities(capabilities))
