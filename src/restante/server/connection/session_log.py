"""The log events of one client: rejected logins, errors, and the end of the session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.protocol.errors import TlsRequired
from restante.protocol.server.session import EndReason, State

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from restante.protocol.errors import Refusal
    from restante.protocol.server.session import Session
    from restante.server.connection.proxy_protocol import ProxiedTls
    from restante.server.connection.transport import ClientTransport
    from restante.server.connection.write_buffer import WriteBuffer


class SessionLog:
    """One client in the log; `log` knows its address."""

    def __init__(self, log: FilteringBoundLogger, session: Session) -> None:
        self._log = log
        self._session = session
        self.user = ""  # the user, or the claimed user before authentication

    def login_refused(self, user: str, told: Refusal, reason: str) -> None:
        """Log a login that failed for another reason than a wrong password."""
        code = told.code.value if told.code else ""
        self._log.warning("login_refused", user=user, code=code, reason=reason)

    def store_error(self, error: BaseException, told: Refusal) -> None:
        """Log the cause of an error, of which the client's reply reveals only whether to retry."""
        assert told.code is not None
        self._log.warning("trouble", user=self.user, error=str(error), code=told.code.value)

    def internal_error(self, error: BaseException, number: str) -> None:
        """Log an unexpected exception, with its traceback."""
        self._log.error("incident", user=self.user, incident=number, exc_info=error)

    def session_ended(
        self,
        wire: ClientTransport,
        output: WriteBuffer,
        *,
        octets_in: int,
        removed: int,
        seconds: float,
    ) -> None:
        """Tell what became of the session: its one line, which is written whatever happened.

        That it wanted TLS is told only now, since a client may try in clear first, and then better.
        """
        session = self._session
        if session.refused_in_clear is not None and session.state is State.AUTHORIZATION:
            self.login_refused(session.refused_in_clear, TlsRequired(), "no TLS")
        held = {}
        if session.state is not State.AUTHORIZATION:  # a maildrop was opened
            contents = session.view.contents
            held = {"messages": len(contents.sizes), "maildrop_octets": contents.octets}
        self._log.info(
            "session",
            user=session.identity.name if session.identity else "",
            tls=wire.tls_version,
            **(_certificate_at_proxy(wire.proxied_tls) if wire.proxied_tls else {}),
            octets_in=octets_in,
            octets_out=output.octets,
            **held,
            retrieved=session.retrieved,
            deleted=removed,
            seconds=round(seconds, 3),
            end=(session.end or EndReason.DISCONNECTED).value,
        )


def _certificate_at_proxy(tls: ProxiedTls) -> dict[str, str | bool]:
    """Return what a proxy said of the client's certificate, nothing without one."""
    if not tls.client_name:
        return {}
    return {"certificate": tls.client_name, "certificate_verified": tls.verified}
