"""The greeting and CAPA, and which port it is that says nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.client import session as sessions
from restante.client.attempts import without_capa
from restante.client.greeting import read_greeting
from restante.diagnosis import suggestions, wording
from restante.diagnosis.context import CheckAborted
from restante.diagnosis.steps import connect
from restante.protocol.errors import RemoteError

if TYPE_CHECKING:
    from restante.diagnosis.context import CheckContext
    from restante.diagnosis.report import Step

LONGEST = 512  # octets of a reply's first line, with CR LF: RFC 1939 section 3

_CODES = {"SYS/TEMP": "it will pass", "SYS/PERM": "an administrator must act", "IN-USE": "in use"}


def greet(check: CheckContext) -> None:
    """Read the greeting."""
    with check.step("greeting") as step:
        try:
            greeting = check.run(read_greeting(check.session))
        except RemoteError as error:
            if error.code in _CODES:
                step.details.append((f"[{error.code}]", _CODES[error.code]))
            if error.id in ("greet-closed", "tls-on-plain") and check.session.tls is None:
                _report_other(check, step, error)
            raise
        step.text = greeting.line
        octets = len(greeting.line.encode()) + len("\r\n")
        if octets > LONGEST:
            text = f"the greeting has {octets} octets, and the limit is {LONGEST}"
            check.warn(step, "long-reply", text, {"octets": octets})
        check.report.facts["greeting"] = greeting.line


def _report_other(check: CheckContext, step: Step, error: RemoteError) -> None:
    """Report a port that uses TLS. Raises MalformedReplyError: it is not for POP3."""
    from restante.client import port_probe

    port, seconds = check.target.port, min(connect.A_MOMENT, check.left)
    found = port_probe.identify(check.address, port, seconds)
    if found is None and error.id != "tls-on-plain":
        return
    if found is not None and found.id == "wrong-protocol":
        raise found
    check.fail(
        step, found or error, suggestions.check_command(check.request, port=port, tls="implicit")
    )
    raise CheckAborted from error


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
