"""TLS: begun and verified."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from restante.client import session as sessions
from restante.client.other_protocols import describe_server
from restante.diagnosis import suggestions
from restante.diagnosis.context import CheckAborted
from restante.diagnosis.steps import connect
from restante.diagnosis.steps.greeting import leave_capa_out
from restante.protocol.errors import (
    ConnectionLostError,
    MalformedReplyError,
    Phase,
    RemoteError,
    SecurityError,
)

if TYPE_CHECKING:
    from restante.client.options import Options
    from restante.diagnosis.context import CheckContext
    from restante.diagnosis.report import Step

_INSPECTED = {
    "tls-expired", "tls-notyet", "tls-selfsigned", "tls-unknown-ca", "tls-no-authorities",
    "tls-chain", "tls-wronghost", "tls-invalid", "tls-old", "tls-weak", "tls-failed",
}  # fmt: skip


def implicit_tls_step(check: CheckContext) -> None:
    """Begin TLS from the first octet."""
    with check.step("tls") as step:
        try:
            check.connection.begin()
        except SecurityError as error:
            if error.id == "plain-on-tls":
                starttls = suggestions.check_command(
                    check.request, port=check.target.port, tls="starttls"
                )
                check.fail(step, error, starttls)
                raise CheckAborted from error
            if error.id in ("tls-client-cert", "wrong-protocol"):
                raise
            _report_rejected(check, step, error)
        except ConnectionLostError:
            _identify_other_protocol(check)
            _note_old_version(check, step)
            raise
        report_tls(check, step)


def stls_step(check: CheckContext) -> None:
    """Start TLS by STLS if the server offers it or the account requires it."""
    if check.target.tls != "starttls":
        return
    with check.step("tls") as step:
        try:
            check.run(sessions.secure(check.session))
        except SecurityError as error:
            if error.id not in _INSPECTED:
                if error.id == "stls-missing":
                    _suggest_implicit(check, step)
                raise
            _report_rejected(check, step, error)
        except RemoteError as error:
            leave_capa_out(check, error)
        if check.session.tls is None:
            step.text = "none: no STLS is offered (allowed, because the server is on this machine)"
            if not check.target.loopback:
                step.text = "none: --insecure-plaintext allows a cleartext password"
            return
        report_tls(check, step)


def report_tls(check: CheckContext, step: Step) -> None:
    """Report the version of TLS and the certificate."""
    from restante.diagnosis import certificate  # a check without TLS has none

    tls = check.session.tls
    assert tls is not None
    facts = certificate.summarise(tls.chain())
    check.report.facts["tls"] = {"version": tls.version, "cipher": tls.cipher}
    step.text = tls.version
    if facts is not None:
        check.report.facts["tls"]["certificate"] = facts.as_json()
        name = next(iter(facts.names), facts.subject)
        proven = check.session.options.context is None or _requires_verification(
            check.session.options
        )
        chain = "chain complete" if proven else "not verified"
        step.text += f"; certificate {name}, {facts.validity}, {chain}"
        if facts.ends_soon and check.request.warn_expiring:
            text = f"it expires on {facts.ends:%Y-%m-%d %H:%M} UTC: {facts.validity}"
            check.warn(step, "tls-soon", text, {"days_left": facts.days_left})
        if facts.subject_alone and proven:  # else its subject may be another name
            text = f"{facts.subject} is only in the subject of the certificate, not in its names"
            check.warn(step, "tls-subject", text)
    if not check.request.verify:
        from restante.diagnosis.steps.rejected_certificate import warn_unverified

        warn_unverified(check, step)


def _report_rejected(check: CheckContext, step: Step, error: SecurityError) -> NoReturn:
    """Report the rejected certificate, and abort the check."""
    from restante.diagnosis.steps.rejected_certificate import report_rejected

    report_rejected(check, step, error)


def _requires_verification(options: Options) -> bool:
    return options.context is not None and options.context.verify_mode.name == "CERT_REQUIRED"


def _identify_other_protocol(check: CheckContext) -> None:
    """Find out which protocol a port speaks that hangs up at TLS. Raises MalformedReplyError."""
    from restante.client import port_probe

    seconds = min(connect.A_MOMENT, check.left)
    banner = port_probe.read_banner(check.address, check.target.port, seconds)
    if not banner:  # it waits for a request, as web servers do
        banner = port_probe.probe_tls(check.address, check.target.port, seconds)
    if port_probe.kind_of(banner) in ("", "TLS", "POP3"):
        return
    text = describe_server(banner)
    raise MalformedReplyError("wrong-protocol", text, phase=Phase.GREETING)


def _note_old_version(check: CheckContext, step: Step) -> None:
    """Note a server that closes at a new handshake, and answers that of an old version."""
    from restante.client import port_probe

    seconds = min(connect.A_MOMENT, check.left)
    version = port_probe.old_version(check.address, check.target.port, seconds)
    if version:
        text = f"it answers a handshake of {version}, which is retired, so it may be too old"
        step.details.append(("note", text))


def _suggest_implicit(check: CheckContext, step: Step) -> None:
    from restante.client import port_probe

    if port_probe.identify_protocol(check.address, 995, min(1.0, check.left)) == "TLS":
        step.details.append(("note", f"port 995 of {check.target.host} supports TLS"))
