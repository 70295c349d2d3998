"""From the URL of an SMTP or LMTP server to a session that accepts mail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from restante.client.credentials import Credentials
from restante.client.mechanisms import CLEARTEXT, CLIENT_MECHANISMS, TOKENS, unusable_reason
from restante.client.tls import verifying_context
from restante.fetch.destinations.smtp.session import SmtpSession, reason
from restante.fetch.interfaces import DestinationUnavailableError
from restante.net.addresses import is_loopback
from restante.protocol.client.sasl import SaslRefusal

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from restante.fetch.destinations.smtp.address import SmtpAddress
    from restante.fetch.destinations.smtp.session import SmtpDeadlines
    from restante.protocol.secret import Secret


CHECK_COMMAND = "; check the output of to_password_command, or sign in again by `pop3 login`"


@dataclass(frozen=True, slots=True)
class Login:
    """The credentials of a login: a password, or a token that is new each time."""

    password: Secret | None = None
    token: Callable[[], str] | None = None

    def credentials(self, address: SmtpAddress) -> Credentials:
        """Return what a mechanism requires."""
        secret = self.password.reveal().decode() if self.password else ""
        secret = self.token() if self.token else secret
        return Credentials(address.user, secret, address.host, address.port)


def connect(
    address: SmtpAddress,
    login: Login | None,
    deadlines: SmtpDeadlines,
    trace: Callable[[str, str], None] | None = None,
) -> SmtpSession:
    """Return a session in which mail can be sent. Raises DestinationUnavailableError."""
    if address.user and login is None:
        raise DestinationUnavailableError(f"{address}: the password of {address.user} is missing")
    session = SmtpSession(address, deadlines, trace)
    try:
        _open(session, address, login if address.user else None)
        return session
    except (OSError, UnicodeError) as error:
        session.abandon()
        text = reason(error) if isinstance(error, OSError) else str(error)
        raise DestinationUnavailableError(f"{address}: {text}") from error
    except BaseException:
        session.abandon()
        raise


def _open(session: SmtpSession, address: SmtpAddress, login: Login | None) -> None:
    credentials = login.credentials(address) if login else None
    refusal = session.begin(_context(address))
    if refusal:
        hint = session.tls_hint(refusal)
        raise DestinationUnavailableError(f"{address} does not accept a session: {refusal}{hint}")
    if login and credentials:
        _authenticate(session, address, credentials, tokens=login.token is not None)


def _context(address: SmtpAddress) -> ssl.SSLContext | None:
    if address.security == "none":
        return None
    try:
        return verifying_context(address.cafile)
    except OSError as error:
        text = f"the certificates of cafile={address.cafile} cannot be used: {reason(error)}"
        raise DestinationUnavailableError(text) from error


def _authenticate(
    session: SmtpSession, address: SmtpAddress, credentials: Credentials, *, tokens: bool
) -> None:
    mechanism = _choose(session, address, credentials, tokens=tokens)
    try:
        reply = session.authenticate(mechanism, credentials)
    except (ValueError, SaslRefusal) as error:
        raise DestinationUnavailableError(f"{address}: {mechanism} failed: {error}") from error
    if reply.code != 235:
        raise DestinationUnavailableError(
            f"{address} rejected the login of {address.user} by {mechanism}: {reply}"
            f"{session.tls_hint(reply) or CHECK_COMMAND}"
        )


def _choose(
    session: SmtpSession, address: SmtpAddress, credentials: Credentials, *, tokens: bool
) -> str:
    """Return the best mechanism that the server offers and that keeps the secret on the way."""
    offered = session.esmtp_features.get("auth", "").upper().split()
    in_clear = address.security == "none" and not is_loopback(address.host)
    usable = [
        name
        for name in CLIENT_MECHANISMS
        if name in offered
        and (name in TOKENS) == tokens
        and name != "EXTERNAL"
        and not (in_clear and name in CLEARTEXT)
        and not unusable_reason(credentials, name)
    ]
    if usable:
        return usable[0]
    mechanisms = f"AUTH {' '.join(offered)}" if offered else "no AUTH"
    text = f"{address} offers no way to authenticate {address.user}: {mechanisms}"
    if in_clear:
        text += "; without TLS no password and no token is sent, so remove tls=no"
    elif address.security == "none" and session.has_extn("starttls"):
        text += "; it may offer more with TLS: add tls=yes to the URL"
    raise DestinationUnavailableError(text)
