"""Further attempts to log in, if a server breaks off before the login."""

from __future__ import annotations

from dataclasses import replace

from restante.client.session import ClientSession
from restante.net.connecting import MAX_ADDRESSES
from restante.protocol.errors import (
    ConnectionLostError,
    RemoteError,
    ReplyTimeoutError,
    ServerUnreachableError,
)

BROKE_OFF = (ConnectionLostError, ReplyTimeoutError, ServerUnreachableError)


class Attempts:
    """The attempts to log in. Each omits what made the one before fail.

    Attributes:
        session: the session of the present attempt.
    """

    def __init__(self, session: ClientSession) -> None:
        self.session = session
        self._failure: RemoteError | None = None  # the first one, or a later one that says more

    def note_failure(self, error: RemoteError) -> None:
        """Set the session of another attempt, without CAPA or at another address of the host.

        Raises RemoteError: no other attempt would help. If all of them broke off, it is the error
        of the first one.
        """
        if self._failure is not None and isinstance(error, BROKE_OFF):
            self._failure.others.append(str(error))
        else:
            self._failure = error
        again = without_capa(error, self.session) or _at_another_address(error, self.session)
        if again is None:
            raise self._failure from None
        self.session = again


def without_capa(error: RemoteError, session: ClientSession) -> ClientSession | None:
    """Return a session for another attempt without CAPA, if the server failed at it, else None."""
    broke_off = (
        isinstance(error, (ConnectionLostError, ReplyTimeoutError)) or error.id == "bad-reply"
    )
    at_capa = error.phase == "capa" and broke_off and error.id != "out-of-time"
    after_capa = (
        isinstance(error, ConnectionLostError)
        and session.capa_refused
        and is_first_command(error, session)
    )
    if not (at_capa or after_capa) or not session.options.capa:
        return None
    options = replace(session.options, capa=False)
    again = ClientSession(session.target, options, ends=session.ends, avoided=session.avoided)
    again.peer.note_oddity("capa-lost", error.text)
    return again


def is_first_command(error: RemoteError, session: ClientSession) -> bool:
    """Return whether an error is that of the first command after the greeting and CAPA."""
    login = error.phase == "login" and len(session.tried) == 1
    return error.command.startswith("STLS") or (
        login and error.command.startswith(("USER", "AUTH"))
    )


def _at_another_address(error: RemoteError, session: ClientSession) -> ClientSession | None:
    """Return a session at another address of the host, None if that would not help.

    A proxy before a dead server accepts connections, so RFC 8305 does not find that it is dead. A
    path that loses large packets ends in the handshake of TLS. A greeting that does not come is
    awaited at one more address alone, since each of them costs the time of a reply.
    """
    silent = isinstance(error, ReplyTimeoutError) and error.phase == "greeting"
    if silent and (session.avoided or error.id == "out-of-time"):
        return None
    lost = isinstance(error, ConnectionLostError) and error.phase in ("greeting", "tls")
    if not (lost or silent) and error.id != "tls-noreply":
        return None
    avoided = session.avoided | {session.address}
    if not set(session.addresses) - avoided or len(avoided) >= MAX_ADDRESSES:
        return None
    again = ClientSession(session.target, session.options, ends=session.ends, avoided=avoided)
    again.peer.note_oddity("address-dead", f"{session.address}: {error.text}")
    return again
