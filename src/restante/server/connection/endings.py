"""How connections end: by which reply, and whether the server waits until it was read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from restante.auth.interfaces import UnavailableError
from restante.protocol.errors import Refusal, ResponseCode
from restante.protocol.server.session import EndReason, Session
from restante.protocol.status import error_reply
from restante.server.connection.pending_work import AUTHENTICATION_NEEDS
from restante.server.connection.phases import CLOSING, PROXY
from restante.server.connection.proxy_protocol import ProxyError
from restante.server.error_replies import maildrop_lost_reply
from restante.server.limits.client_bounds import LINGER

if TYPE_CHECKING:
    from restante.protocol.server.needs import Need
    from restante.server.connection.backend import SessionBackend
    from restante.server.connection.phases import ConnectionPhase
    from restante.server.connection.transport import ClientTransport
    from restante.server.connection.write_buffer import WriteBuffer
    from restante.server.context import ServerContext
    from restante.server.tls.layer import TlsError

HUNG_UP_ON = frozenset(
    {
        EndReason.BAD_COMMANDS, EndReason.REFUSED_LOGINS, EndReason.ENDLESS_LINE, EndReason.HTTP,
        EndReason.FULL, EndReason.FULL_ADDRESS, EndReason.SHUTDOWN, EndReason.KICKED,
        EndReason.TAKEN_OVER, EndReason.ACCOUNT, EndReason.MAILDROP_LOST,
        EndReason.BROKEN,
    }
)  # fmt: skip
"""Ends during which the peer may still send. Closing at once would reset the connection, and the
peer would lose the last reply, which gives the reason."""

STOPPED = frozenset({EndReason.SHUTDOWN, EndReason.KICKED, EndReason.TAKEN_OVER, EndReason.ACCOUNT})
"""Ends by the server of a session that may be between two commands."""

NOT_BEGUN = Session()
"""The session of a connection that ends before its greeting."""

FULL_REPLY = Refusal("Too many connections, try again later.", ResponseCode.SYS_TEMP)
STOPPING_REPLY = Refusal("The server is stopping, try again later.", ResponseCode.SYS_TEMP)
UNANSWERED_REPLY = Refusal(
    "The server does not answer in time, try again later.", ResponseCode.SYS_TEMP
)
NOT_CHECKED = (
    "the login was not checked within timeouts.before_login: the accounts gave no answer, or the"
    " client began so late that its delay after failures was too long"
)
MAILDROP_LOST_REPLY = maildrop_lost_reply()


def reader_time(
    phase: ConnectionPhase, output: WriteBuffer, backend: SessionBackend, context: ServerContext
) -> float:
    """Return the seconds that a client has to read the unsent replies, or to notice the end."""
    if not output.is_unsent or (phase is CLOSING and not backend.logged_in):
        return LINGER
    return context.write_timeout if backend.logged_in else context.settings.login_timeout


def reply_unanswered(need: Need[Any], backend: SessionBackend, session: Session) -> bytes:
    """Return the reply if accounts or store give no answer; the log gets the cause of a login."""
    if isinstance(need, AUTHENTICATION_NEEDS):
        backend.refuse(need, UnavailableError(NOT_CHECKED))
    return error_reply(UNANSWERED_REPLY, session.translate)


def left_in(phase: ConnectionPhase, reason: EndReason) -> EndReason:
    """Return why a client that hangs up, or is silent for too long, ends the connection.

    A machine that was listed as a proxy by mistake waits for a greeting, and sends no header.
    """
    return EndReason.NO_PROXY if phase is PROXY else reason


def failed_by(error: TlsError | ProxyError, client: ClientTransport) -> EndReason:
    """Return why a connection ends after octets that are not TLS, or not a PROXY header."""
    if isinstance(error, ProxyError):
        return EndReason.NO_PROXY
    agreed = client.tls is not None and client.tls.ready
    return EndReason.TLS_BROKEN if agreed else EndReason.TLS_FAILED


def lingers(end: EndReason | None, output: WriteBuffer, context: ServerContext) -> bool:
    """Return whether to close only after the client has read the last reply.

    If many clients are rejected, the server does not wait for them: a client that has sent nothing
    gets the reply in any case.
    """
    if end in STOPPED:
        return output.measure_unsent() > 0
    return end in HUNG_UP_ON and not (
        context.limits.is_crowded and end in {EndReason.FULL, EndReason.FULL_ADDRESS}
    )
