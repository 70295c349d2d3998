"""The log events of a client: logins, errors, and the end of the session."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING

from restante.auth.usernames import with_domain
from restante.protocol.errors import Refusal, ResponseCode, TlsRequired
from restante.protocol.server.session import AUTHORIZATION
from restante.server.error_replies import reply_for

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from restante.protocol.server.session import EndReason, Session
    from restante.protocol.server.settings import Identity
    from restante.server.connection.login_client import LoginClient
    from restante.server.connection.proxy_protocol import ProxiedTls
    from restante.server.connection.transport import ClientTransport
    from restante.server.control.holders import Holder


class SessionLog:
    """The clients of a server in its log. Each event has the client's address and session id."""

    __slots__ = ("_default_domain", "_log")

    def __init__(self, log: FilteringBoundLogger, default_domain: str = "") -> None:
        self._log = log
        self._default_domain = default_domain  # of the names that clients send

    def connection_failed(self, client: ClientTransport, problem: Exception) -> None:
        """Log that a handshake or a PROXY header was wrong."""
        self._log.warning(
            "connection_failed",
            address=client.address,
            problem=str(problem),
            session=client.session_id,
        )

    def logged_in(self, client: LoginClient, identity: Identity, method: str) -> None:
        """Log that a session has got its maildrop."""
        line = {"address": client.address, "user": identity.name, "method": method}
        if identity.credential:
            line |= _special_credential(identity)
        line["tls"] = client.tls_version
        if client.service:
            line["service"] = client.service
        self._log.info("login", **line, session=client.session_id)

    def login_failed(self, client: LoginClient, user: str, method: str, reason: str) -> None:
        """Log that credentials were wrong."""
        self._log.warning(
            "login_failed",
            address=client.address,
            user=user,
            method=method,
            reason=reason,
            **_login_fields(client),
        )

    def login_refused(
        self,
        client: LoginClient,
        user: str,
        refusal: Refusal,
        reason: str,
        holder: Holder | None = None,
    ) -> None:
        """Log a login that failed for another reason than wrong credentials.

        `holder` is the session that holds the maildrop.
        """
        self._log.warning(
            "login_refused",
            address=client.address,
            user=user,
            code=refusal.code.value if refusal.code else "",
            reason=reason,
            **_login_fields(client),
            **(_holder_fields(holder) if holder is not None else {}),
        )

    def refusal_for(self, client: LoginClient, user: str, error: BaseException) -> Refusal:
        """Return the reply to an error, and log what only the administrator should know."""
        refusal = reply_for(error)
        if refusal is None:
            incident = secrets.token_hex(4)
            self._internal_error(client, user, error, incident)
            text = "Internal error (incident {incident})."
            return Refusal(text, ResponseCode.SYS_TEMP, incident=incident)
        if refusal.code in (ResponseCode.SYS_TEMP, ResponseCode.SYS_PERM) and refusal is not error:
            self._store_error(client, user, error, refusal)
        return refusal

    def _store_error(
        self, client: LoginClient, user: str, error: BaseException, refusal: Refusal
    ) -> None:
        """Log the cause of an error. The client's reply only shows whether to retry."""
        assert refusal.code is not None
        self._log.warning(
            "trouble",
            address=client.address,
            user=user,
            error=str(error),
            code=refusal.code.value,
            **_login_fields(client),
        )

    def _internal_error(
        self, client: LoginClient, user: str, error: BaseException, number: str
    ) -> None:
        """Log an unexpected exception, with its traceback."""
        self._log.error(
            "incident",
            address=client.address,
            user=user,
            incident=number,
            **_login_fields(client),
            exc_info=error,
        )

    def session_ended(  # noqa: PLR0913  # one line has all of it
        self,
        session: Session,
        client: ClientTransport,
        end: EndReason,
        octets: tuple[int, int],
        *,
        removed: int,
        seconds: float,
    ) -> None:
        """Log the line of a session, which each connection gets.

        `octets` are those received and those sent; `removed` is a number of messages. A login that
        was rejected without TLS is logged only now: a client may log in by TLS after it.
        """
        identity = session.identity
        line: dict[str, object] = {
            "address": client.address,
            "user": "" if identity is None else identity.name,
            "tls": client.tls_version,
        }
        if identity is not None and identity.credential:
            line |= _special_credential(identity)
        if client.proxied_tls is not None:
            line |= _certificate_at_proxy(client.proxied_tls)
        if identity is not None and identity.maildrop:
            line["maildrop"] = "junk"
        line["octets_in"], line["octets_out"] = octets
        if session.state is not AUTHORIZATION:  # a maildrop was opened
            contents = session.view.contents
            line["messages"], line["maildrop_octets"] = len(contents.sizes), contents.octets
        elif session.refused_in_clear is not None:
            name = with_domain(session.refused_in_clear, self._default_domain)
            self.login_refused(client, name, TlsRequired(), "no TLS")
        self._log.info(
            "session",
            **line,
            retrieved=session.retrieved,
            deleted=removed,
            seconds=round(seconds, 3),
            end=end.value,
            session=client.session_id,
        )


def _login_fields(client: LoginClient) -> dict[str, str]:
    """Return the last fields of an event of a login."""
    if client.service:
        return {"service": client.service, "session": client.session_id}
    return {"session": client.session_id}


def _holder_fields(holder: Holder) -> dict[str, str]:
    """Return the fields about the session that holds a maildrop; its node, if it is another."""
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(holder.since))
    fields = {"held_since": since}
    if holder.session is not None:
        session = {"held_by": holder.session.session, "held_from": holder.session.address}
        fields = {**session, **fields}
    return {**fields, "held_at": holder.node} if holder.node else fields


def _special_credential(identity: Identity) -> dict[str, str]:
    """Return the master user or the app password of an identity, if it used one."""
    used = {"master": identity.master, "app_password": identity.app_password}
    return {key: value for key, value in used.items() if value}


def _certificate_at_proxy(tls: ProxiedTls) -> dict[str, str | bool]:
    """Return the client's certificate as a proxy reports it, if there is one."""
    if not tls.client_name:
        return {}
    return {"certificate": tls.client_name, "certificate_verified": tls.verified}
