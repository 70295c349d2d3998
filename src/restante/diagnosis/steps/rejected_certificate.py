"""A certificate that is not trusted, inspected without sending anything secret."""

from __future__ import annotations

import contextlib
import datetime as dt
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NoReturn

from restante.client import mail_address, port_probe
from restante.client import session as sessions
from restante.client.greeting import FIRST_WAIT
from restante.diagnosis import certificate, suggestions
from restante.diagnosis.context import CheckAborted
from restante.diagnosis.steps import connect
from restante.net import host_names
from restante.protocol.errors import MalformedReplyError, RemoteError, SecurityError

if TYPE_CHECKING:
    import ssl

    from restante.client.socket_driver import SocketDriver
    from restante.diagnosis.context import CheckContext
    from restante.diagnosis.report import Step

OLD = ("SSLv3", "TLSv1", "TLSv1.1")  # versions out of use: RFC 8996


@dataclass(slots=True, eq=False)
class TlsObservation:
    """The findings of a connection without verification."""

    facts: certificate.CertificateSummary | None = None
    version: str = ""
    cipher: str = ""
    greets: str = ""  # the greeting of a server with an untrusted certificate
    other: RemoteError | None = None  # not a POP3 server
    lenient: bool = False  # only with settings that take whatever there is


def report_rejected(check: CheckContext, step: Step, error: SecurityError) -> NoReturn:
    """Inspect the rejected certificate, and abort the check."""
    observation = _inspect_unverified(check)
    _explain(check, step, error, observation)
    if observation.facts is not None and not observation.facts.is_for(check.target.host):
        connect.note_false_dns(check, step)
    if observation.other is not None:
        certificate_too = f"{error.id}: {error.text}"
        step.text, step.details = "", [("certificate", certificate_too), *step.details]
        check.fail(step, observation.other)
        raise CheckAborted from error
    facts = observation.facts and observation.facts.as_json()
    check.fail(step, error, *_next_commands(check, error, observation), certificate=facts)
    raise CheckAborted from error


def warn_unverified(check: CheckContext, step: Step) -> None:
    """With -k: learn what verification would have said, and make it a warning."""
    options = replace(check.request.options, context=check.request.trust, trace=None)
    try:
        driver = connect.reconnect(check, options)
        try:
            _begin(driver)
        finally:
            driver.close()
    except SecurityError as error:
        tls = check.session.tls
        observation = TlsObservation(certificate.summarise(tls.chain() if tls else ()))
        _explain(check, step, error, observation)
        facts = observation.facts.as_json() if observation.facts else {}
        check.warn(step, error.id, error.text, {"certificate": facts})
    except RemoteError as error:
        check.trace("<", f"(the second inspection of the certificate failed: {error})")


def _begin(driver: SocketDriver) -> None:
    """Go up to where a login may begin."""
    driver.begin()
    driver.run(sessions.prepare_login(driver.session))


def _inspect_unverified(check: CheckContext) -> TlsObservation:
    """Return what can be seen of the server's TLS without verifying it; nothing secret is sent."""
    from restante.client.tls import unverified_context

    observation = TlsObservation()
    seconds = min(FIRST_WAIT, check.request.options.reply_seconds)
    for context in (unverified_context(), lenient_context()):
        options = replace(check.request.options, context=context, trace=None, reply_seconds=seconds)
        with contextlib.suppress(RemoteError):
            driver = connect.reconnect(check, options)
            try:
                _begin(driver)
            except MalformedReplyError as error:
                observation.other = error if error.id == "wrong-protocol" else None
            finally:
                if driver.session.tls is not None:
                    tls = driver.session.tls
                    observation.facts = certificate.summarise(tls.chain())
                    observation.version, observation.cipher = tls.version, tls.cipher
                    observation.greets = (
                        driver.session.greeting.line if driver.session.greeting else ""
                    )
                driver.close()
        if observation.version:
            break
        observation.lenient = True
    if not observation.version and check.target.tls == "implicit":
        seconds = min(connect.A_MOMENT, check.left)
        observation.version = port_probe.old_version(check.address, check.target.port, seconds)
    return observation


def lenient_context() -> ssl.SSLContext:
    """Return settings that accept all that the library supports, to find what a server offers."""
    import ssl
    import warnings

    from restante.client.tls import unverified_context

    context = unverified_context()
    with contextlib.suppress(ssl.SSLError):
        context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
    context.options |= 0x4  # OP_LEGACY_SERVER_CONNECT: it has a name only from Python 3.12 on
    return context


def _explain(
    check: CheckContext, step: Step, error: SecurityError, observation: TlsObservation
) -> None:
    """Name the cause of the error as a second look found it, and report the certificate."""
    facts = observation.facts
    error.id, error.text = _judge_version(error, observation)
    if facts is None:
        if observation.version:
            step.details.append(("server uses", f"{observation.version} {observation.cipher}"))
        return
    error.id = _judge_issuer(check, error.id, facts)
    error.text = _evidence(check, error, observation, facts)
    _report_certificate(check, step, error.id, facts)
    if error.id in ("tls-old", "tls-weak"):
        step.details.append(
            ("server uses", f"{observation.version} {observation.cipher}; key {facts.key}")
        )
    if observation.greets:
        step.details.append(("service", f'a POP3 server with the greeting "{observation.greets}"'))


def _judge_version(error: SecurityError, observation: TlsObservation) -> tuple[str, str]:
    """Return id and text of an error: if the handshake failed, by what a second look agreed upon.

    The words of a library say less.
    """
    version = observation.version
    if error.id in ("tls-failed", "tls-old", "tls-weak") and version in OLD:
        return "tls-old", f"the server supports {version} at most"
    if error.id == "tls-weak" and not version:
        return "tls-failed", error.text  # nothing that is still to be had would do either
    if error.id == "tls-old" and version:
        return "tls-failed", f"the server uses {version}, which the settings of this machine reject"
    if error.id == "tls-failed" and version and observation.lenient:
        return "tls-weak", error.text
    return error.id, error.text


def _judge_issuer(check: CheckContext, error_id: str, facts: certificate.CertificateSummary) -> str:
    """Return the id of an error, which names the missing link if the issuer is not known here."""
    from restante.client.tls import verifying_context

    if error_id not in ("tls-unknown-ca", "tls-chain"):
        return error_id
    if error_id == "tls-unknown-ca" and facts.subject == facts.issuer and facts.sent == 1:
        return "tls-selfsigned"
    context = check.request.trust or check.request.options.context or verifying_context()
    return "tls-chain" if facts.lacks_link(context) else "tls-unknown-ca"


def _report_certificate(
    check: CheckContext, step: Step, error_id: str, facts: certificate.CertificateSummary
) -> None:
    """Report names, issuer and dates of a rejected certificate."""
    name = check.request.options.server_name or check.target.host
    if error_id == "tls-wronghost":
        step.text = f"certificate is for: {', '.join(facts.names) or facts.subject}"
        step.details.append(("requested", name))
    else:
        if facts.names != (facts.subject,):
            step.details.append(("names", ", ".join(facts.names)))
        if facts.subject_alone or not facts.is_for(name):
            step.details.append(("also", f"the certificate is not for {name}, either"))
    step.details += [
        ("subject", facts.subject),
        ("issuer", facts.issuer),
        ("dates", facts.validity),
    ]
    if error_id in ("tls-expired", "tls-notyet"):
        now = dt.datetime.now(dt.UTC)
        step.details.append(("clock here", f"{now:%Y-%m-%d %H:%M} UTC"))


def _describe_expired(facts: certificate.CertificateSummary) -> str:
    """Return which certificate of the chain has expired."""
    own = f"certificate of {facts.subject} {facts.validity}"
    if not facts.is_valid:
        return own
    expired = facts.expired_issuer or "a certificate of the authority has expired"
    return f"{expired}; the {own}"


def _evidence(
    check: CheckContext,
    error: SecurityError,
    observation: TlsObservation,
    facts: certificate.CertificateSummary,
) -> str:
    host = check.request.options.server_name or check.target.host
    return {
        "tls-expired": _describe_expired(facts),
        "tls-notyet": f"certificate of {facts.subject} is {facts.validity}",
        "tls-selfsigned": f"{facts.subject} is self-signed",
        "tls-unknown-ca": f"the issuer of {facts.subject}, {facts.issuer}, is not trusted here",
        "tls-chain": f"the certificate of its issuer, {facts.issuer}, is not sent",
        "tls-invalid": f"certificate of {facts.subject}: {error.text}",
        "tls-wronghost": f"certificate is for {', '.join(facts.names)}; requested was {host}",
        "tls-old": f"the server supports {observation.version} at most",
        "tls-weak": f"{error.text}: {observation.version} {observation.cipher}, key {facts.key}, "
        f"signed with {facts.signature}",
    }.get(error.id, error.text)


def _next_commands(
    check: CheckContext, error: SecurityError, observation: TlsObservation
) -> list[str]:
    if error.id != "tls-wronghost" or observation.facts is None:
        return []
    names = [name for name in observation.facts.names if _is_ours(check, name.lower())]
    mail = [name for name in names if name.startswith(("mail.", "pop", "mx"))]
    name = next(iter(mail or names), "")
    if name and check.request.options.server_name:
        return [suggestions.check_command(check.request, server_name=name)]
    return [suggestions.check_command(check.request, name)] if name else []


def _is_ours(check: CheckContext, name: str) -> bool:
    """Return whether a certificate's name is in a domain that the person named.

    The peer chose the other names, and would get the password by a command with one of them.
    """
    expected = check.request.options.server_name or check.target.host
    mail = check.target.user.rpartition("@")[2].lower() or expected
    return host_names.is_name(name) and (
        mail_address.is_below(name, expected)
        or mail_address.is_below(expected, name)
        or mail_address.is_below(name, mail)
    )
