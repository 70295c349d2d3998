"""Logging in with the best that server, connection and credentials have in common."""

from __future__ import annotations

import binascii
import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

from restante.client.error_ids import SPECIFIC, judges_credentials, login_error_id, transient_id
from restante.client.mechanisms import (
    CLEAR,
    CLIENT_MECHANISMS,
    NAMELESS,
    NO_NAME,
    TOKENS,
    Credentials,
    apop_digest,
    unusable_reason,
)
from restante.protocol.client import operations, sasl
from restante.protocol.errors import (
    ConnectionLostError,
    LocalError,
    MalformedReplyError,
    Phase,
    RemoteError,
    ReplyTimeoutError,
    SecurityError,
    ServerRefusedError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from restante.client.session import ClientSession
    from restante.protocol.client.effects import Dialogue
    from restante.protocol.client.pipeline import Operation
    from restante.protocol.client.replies import Status

_NEVER = frozenset("\r\n\0")  # RFC 4616 section 2; a line end would begin another command
ROOM = 255  # octets of an AUTH line with an initial response: RFC 5034 section 4


def log_in(session: ClientSession, credentials: Credentials) -> Dialogue[None]:
    """Log in. Raises ServerRefusedError with the reason.

    Raises SecurityError: every mechanism would show the password.

    Where a way that does not say the password is refused, one that says it is tried too, if the
    connection is safe: some servers offer SCRAM and have no keys for every account. A server that
    failed to prove itself is sent nothing more: a SecurityError, too (auth-unproven). Raises
    LocalError: there is no name, or nothing here can carry the name and the password.
    """
    peer = session.peer
    peer.phase = Phase.LOGIN
    credentials = _bind_to_connection(session, credentials)
    _check_octets(credentials)
    _keep_secret(session, credentials)
    ways, spare = _candidate_mechanisms(session, credentials)
    if not credentials.user and not (ways and set(ways).issubset(NAMELESS)):
        raise LocalError(NO_NAME)
    if not ways:
        raise _no_mechanism_error(session)
    if session.options.utf8 and "UTF8" in (session.capabilities or {}):
        with contextlib.suppress(ServerRefusedError):  # the login goes on without it
            yield from session.carry_out(operations.utf8())
    yield from _try_mechanisms(session, credentials, ways, spare)
    peer.phase = Phase.MAILBOX


def _try_mechanisms(
    session: ClientSession, credentials: Credentials, ways: list[str], spare: list[str]
) -> Dialogue[None]:
    """Try ways until one logs in. Raises the first real cause, with the others as its details.

    `spare` are tried only where the server refused commands or mechanisms, not credentials.
    """
    cause: RemoteError | None = None
    ways, spare = ways.copy(), spare.copy()
    while ways:
        way = ways.pop(0)
        session.tried.append(way)
        try:
            yield from _authenticate(session, credentials, way)
        except ServerRefusedError as denied:
            judged = judges_credentials(denied)
            session.refused += [way] if judged else []
            if not judged and not ways:
                ways, spare = spare, []
            cause = _first_cause(session, cause, denied)
            if not ways or session.peer.broken or denied.code not in ("", "AUTH"):
                raise cause from None
        except (ConnectionLostError, ReplyTimeoutError, MalformedReplyError) as error:
            raise _first_cause(session, cause, error) from None
        else:
            session.mechanism = way
            return


def _first_cause(
    session: ClientSession, first: RemoteError | None, later: RemoteError
) -> RemoteError:
    """Return the failure that explains the rejected login; the other one is its detail."""
    if first is None:
        return later
    cause, other = first, later
    ended = (
        isinstance(later, (ConnectionLostError, ReplyTimeoutError))
        and isinstance(first, ServerRefusedError)
        and transient_id(first)
    )
    if isinstance(first, ServerRefusedError) and not judges_credentials(first) and not ended:
        cause, other = later, first
    elif isinstance(later, ServerRefusedError) and isinstance(first, ServerRefusedError):
        first_id, later_id = (
            login_error_id(denied, session.capabilities, tls=session.tls is not None)
            for denied in (first, later)
        )
        if first_id == "auth-failed" and later_id in SPECIFIC:
            cause, other = later, first
    cause.others += [other.quoted, *other.others]
    return cause


def _bind_to_connection(session: ClientSession, credentials: Credentials) -> Credentials:
    """Return credentials with what mechanisms want to know of the connection."""
    return replace(
        credentials,
        host=session.target.host,
        port=session.target.port,
        binding=session.tls.binding() if session.tls else None,
        server_has_plus=any(name.endswith("-PLUS") for name in session.mechanisms),
        timestamp=session.timestamp,
    )


def _check_octets(credentials: Credentials) -> None:
    """Raise LocalError: no account has such a name or password; mostly a file was read whole."""
    said = credentials.user + credentials.password
    if not _NEVER.isdisjoint(said):
        raise LocalError("the name or the password has a line end or NUL, so nothing was sent")
    try:
        said.encode()
    except UnicodeEncodeError:  # it would show some of them
        text = "the name or the password is not UTF-8, so nothing was sent"
        raise LocalError(text) from None


def _keep_secret(session: ClientSession, credentials: Credentials) -> None:
    password = credentials.password
    if not password:
        return
    spoken = f"\0{credentials.user}\0{password}".encode()
    coded = binascii.b2a_base64(spoken, newline=False).decode().rstrip("=")
    session.peer.keep_secret(password)
    session.peer.secrets.append(coded)


def _candidate_mechanisms(
    session: ClientSession, credentials: Credentials
) -> tuple[list[str], list[str]]:
    """Return what to try, in order: at most one that proves the password, one that says it.

    The second list is what to try where the server does not know those.
    """
    if session.options.mechanisms:
        return _requested_mechanisms(session.options.mechanisms, credentials), []
    offered = [name for name in CLIENT_MECHANISMS if name in session.mechanisms]
    if session.options.token:
        ways = [name for name in offered if name in TOKENS] or ["XOAUTH2"]
        return (ways[:1], ways[1:]) if session.cleartext_allowed else ([], [])
    offered = [name for name in offered if name not in TOKENS and name != "EXTERNAL"]
    proving = [
        name for name in offered if name not in CLEAR and not unusable_reason(credentials, name)
    ]
    if session.timestamp:
        proving.append("APOP")
    saying: list[str] = []
    if session.cleartext_allowed:
        try:
            saying = _cleartext_mechanisms(session, credentials, offered)
        except LocalError:  # a line holds no such password, and a proof needs no such line
            if not proving:
                raise
    scram = [name for name in proving if name.startswith("SCRAM")]
    ways = [scram[0], *saying[:1]] if scram else saying[:1] or proving[:1]
    return ways, [name for name in (*saying, *proving) if name not in ways]


def _requested_mechanisms(mechanisms: Iterable[str], credentials: Credentials) -> list[str]:
    """Return those of the mechanisms asked for that are possible. Raises LocalError: none is."""
    obstacles = {name.upper(): unusable_reason(credentials, name.upper()) for name in mechanisms}
    possible = [name for name, why in obstacles.items() if not why]
    if not possible:
        raise LocalError("; ".join(f"{name}: {why}" for name, why in obstacles.items()))
    return possible


def _cleartext_mechanisms(
    session: ClientSession, credentials: Credentials, offered: list[str]
) -> list[str]:
    """Return the ways that say the password: USER first where the server has it, else last.

    Raises LocalError: none can say it.
    """
    clear: list[str] = [name for name in ("PLAIN", "LOGIN") if name in offered]
    capabilities = session.capabilities
    has_user = capabilities is None or "USER" in capabilities or not clear
    try:
        operations.user(credentials.user)
        operations.pass_(credentials.password)
    except LocalError:
        if not clear:
            raise
        return clear
    return ["USER", *clear] if has_user else [*clear, "USER"]


def _no_mechanism_error(session: ClientSession) -> SecurityError | ServerRefusedError:
    peer = session.peer
    if not session.cleartext_allowed:
        text = "every mechanism here would reveal the password, so it was not sent"
        return SecurityError("stls-missing", text, phase=Phase.LOGIN)
    text = (
        f"no mechanism is supported by both client and server; the server has {session.mechanisms}"
    )
    return ServerRefusedError("auth-failed", text, phase=Phase.LOGIN, command=peer.command)


def _authenticate(session: ClientSession, credentials: Credentials, way: str) -> Dialogue[None]:
    if way in ("USER", *CLEAR) and not session.cleartext_allowed:
        raise _no_mechanism_error(session)
    if way == "USER":
        yield from session.carry_out(operations.user(credentials.user))
        yield from session.carry_out(operations.pass_(credentials.password))
    elif way == "APOP":
        digest = apop_digest(session.timestamp, credentials.password)
        yield from session.carry_out(operations.apop(credentials.user, digest))
    else:
        yield from session.carry_out(_auth(session, credentials, way))


def _auth(session: ClientSession, credentials: Credentials, way: str) -> Operation[Status]:
    """Return the AUTH line, with the initial response if the mechanism has one and it fits."""
    if session.options.initial_response:
        with_it = sasl.auth(way, CLIENT_MECHANISMS[way](credentials), initial=True)
        if len(with_it.request) <= ROOM:
            return with_it
    return sasl.auth(way, CLIENT_MECHANISMS[way](credentials))
