"""Logs in by the best mechanism that server, connection and credentials allow."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from restante.client.error_ids import SPECIFIC, judges_credentials, login_error_id, transient_id
from restante.client.mechanisms import (
    CLEARTEXT,
    CLIENT_MECHANISMS,
    NAMELESS,
    NO_NAME,
    TOKENS,
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

    from restante.client.credentials import Credentials
    from restante.client.session import ClientSession
    from restante.protocol.client.effects import Dialogue
    from restante.protocol.client.pipeline import Operation
    from restante.protocol.client.replies import Status

E = TypeVar("E", bound=RemoteError)

_FORBIDDEN = frozenset("\r\n\0")  # RFC 4616 section 2; a line end would begin another command
LONGEST_AUTH_LINE = 255  # octets of an AUTH line with an initial response: RFC 5034 section 4


def log_in(session: ClientSession, credentials: Credentials) -> Dialogue[None]:
    """Log in by the mechanisms that are possible here, best first.

    If the server rejects a mechanism that hides the password, a cleartext mechanism is tried next,
    if the connection is safe: some servers offer SCRAM, but have no keys for some accounts.

    Raises:
        ServerRefusedError: the server rejected the login; the error has its reason.
        SecurityError: every mechanism would show the password; or the server did not prove its
            identity (auth-unproven), and nothing more is sent to it.
        LocalError: the name is missing, or no mechanism can carry the name and the password.
    """
    peer = session.peer
    peer.phase = Phase.LOGIN
    credentials = _bind_to_connection(session, credentials)
    check_octets(credentials)
    peer.secrets.add(credentials.password)
    mechanisms, fallbacks = _candidate_mechanisms(session, credentials)
    if not credentials.user and not (mechanisms and set(mechanisms).issubset(NAMELESS)):
        raise LocalError(NO_NAME)
    if not mechanisms:
        raise _no_mechanism_error(session)
    if session.options.utf8 and "UTF8" in (session.capabilities or {}):
        with contextlib.suppress(ServerRefusedError):  # the login goes on without it
            yield from session.carry_out(operations.utf8())
    yield from _try_mechanisms(session, credentials, mechanisms, fallbacks)
    peer.phase = Phase.MAILBOX


def _try_mechanisms(
    session: ClientSession, credentials: Credentials, mechanisms: list[str], fallbacks: list[str]
) -> Dialogue[None]:
    """Try mechanisms until one logs in. Raises the first real cause, with the others as details.

    `fallbacks` are tried only if the server rejected commands or mechanisms, not credentials.
    """
    cause: ServerRefusedError | None = None
    mechanisms, fallbacks = mechanisms.copy(), fallbacks.copy()
    while mechanisms:
        mechanism = mechanisms.pop(0)
        session.tried.append(mechanism)
        try:
            yield from _authenticate(session, credentials, mechanism)
        except ServerRefusedError as denied:
            cause = _first_cause(session, cause, denied)
            if judges_credentials(denied):
                session.refused.append(mechanism)
            elif not mechanisms:
                mechanisms, fallbacks = fallbacks, []
            if not mechanisms or session.peer.broken or denied.code not in ("", "AUTH"):
                raise cause from None
        except (ConnectionLostError, ReplyTimeoutError, MalformedReplyError) as error:
            raise _first_cause(session, cause, error) from None
        else:
            session.mechanism = mechanism
            return


def _first_cause(
    session: ClientSession, first: ServerRefusedError | None, later: E
) -> ServerRefusedError | E:
    """Return the failure that explains the rejected login, with the other one in its details."""
    if first is None:
        return later
    if _explains_more(session, later, first):
        later.others += [first.quoted, *first.others]
        return later
    first.others += [later.quoted, *later.others]
    return first


def _explains_more(session: ClientSession, later: RemoteError, first: ServerRefusedError) -> bool:
    """Return whether the later failure of a login explains more than the first refusal."""
    if not judges_credentials(first):  # it refused a command or a mechanism alone
        has_hung_up = isinstance(later, (ConnectionLostError, ReplyTimeoutError))
        return not (has_hung_up and transient_id(first))
    if not isinstance(later, ServerRefusedError):
        return False
    first_id, later_id = (
        login_error_id(denied, session.capabilities, tls=session.tls is not None)
        for denied in (first, later)
    )
    return first_id in ("auth-failed", "auth-refused") and later_id in SPECIFIC


def _bind_to_connection(session: ClientSession, credentials: Credentials) -> Credentials:
    """Return credentials with the data of the connection that mechanisms use."""
    return replace(
        credentials,
        host=session.target.host,
        port=session.target.port,
        binding=session.tls.binding() if session.tls else None,
        server_has_plus=any(name.endswith("-PLUS") for name in session.mechanisms),
        timestamp=session.timestamp,
    )


def check_octets(credentials: Credentials) -> None:
    """Raise LocalError: a name or password cannot be sent. Often it has the line end of a file."""
    text = credentials.user + credentials.password
    if not _FORBIDDEN.isdisjoint(text):
        raise LocalError("the name or the password has a line end or NUL, so nothing was sent")
    try:
        text.encode()
    except UnicodeEncodeError:  # whose text would show some of the octets
        text = "the name or the password is not UTF-8, so nothing was sent"
        raise LocalError(text) from None


def _candidate_mechanisms(
    session: ClientSession, credentials: Credentials
) -> tuple[list[str], list[str]]:
    """Return the mechanisms to try: at most one with challenge and response, then a cleartext one.

    The second list has those to try if the server does not know the first.
    """
    if session.options.mechanisms:
        return _requested_mechanisms(session.options.mechanisms, credentials), []
    offered = [name for name in CLIENT_MECHANISMS if name in session.mechanisms]
    if session.options.token:
        mechanisms = [name for name in offered if name in TOKENS] or ["XOAUTH2"]
        return (mechanisms[:1], mechanisms[1:]) if session.cleartext_allowed else ([], [])
    offered = [name for name in offered if name not in TOKENS and name != "EXTERNAL"]
    challenge_response = [
        name for name in offered if name not in CLEARTEXT and not unusable_reason(credentials, name)
    ]
    if session.timestamp:
        challenge_response.append("APOP")
    cleartext: list[str] = []
    if session.cleartext_allowed:
        try:
            cleartext = _cleartext_mechanisms(session, credentials, offered)
        except LocalError:  # the password fits no line; other mechanisms do not send it
            if not challenge_response:
                raise
    scram = [name for name in challenge_response if name.startswith("SCRAM")]
    mechanisms = [scram[0], *cleartext[:1]] if scram else cleartext[:1] or challenge_response[:1]
    return mechanisms, [
        name for name in (*cleartext, *challenge_response) if name not in mechanisms
    ]


def _requested_mechanisms(mechanisms: Iterable[str], credentials: Credentials) -> list[str]:
    """Return the requested mechanisms that are possible. Raises LocalError if there are none."""
    obstacles = {name.upper(): unusable_reason(credentials, name.upper()) for name in mechanisms}
    possible = [name for name, why in obstacles.items() if not why]
    if not possible:
        raise LocalError("; ".join(f"{name}: {why}" for name, why in obstacles.items()))
    return possible


def _cleartext_mechanisms(
    session: ClientSession, credentials: Credentials, offered: list[str]
) -> list[str]:
    """Return the mechanisms that send the password: USER first if the server has it, else last.

    Raises LocalError: none can send this password.
    """
    by_sasl = [name for name in offered if name in CLEARTEXT]
    capabilities = session.capabilities
    has_user = capabilities is None or "USER" in capabilities or not by_sasl
    try:
        operations.user(credentials.user)
        operations.pass_(credentials.password)
    except LocalError:
        if not by_sasl:
            raise
        return by_sasl
    return ["USER", *by_sasl] if has_user else [*by_sasl, "USER"]


def _no_mechanism_error(session: ClientSession) -> SecurityError | ServerRefusedError:
    peer = session.peer
    if not session.cleartext_allowed:
        text = "every mechanism here would reveal the password, so it was not sent"
        return SecurityError("stls-missing", text, phase=Phase.LOGIN)
    text = (
        f"no mechanism is supported by both client and server; the server has {session.mechanisms}"
    )
    return ServerRefusedError("auth-nomech", text, phase=Phase.LOGIN, command=peer.command)


def _authenticate(
    session: ClientSession, credentials: Credentials, mechanism: str
) -> Dialogue[None]:
    if mechanism in ("USER", *CLEARTEXT) and not session.cleartext_allowed:
        raise _no_mechanism_error(session)
    if mechanism == "USER":
        yield from session.carry_out(operations.user(credentials.user))
        yield from session.carry_out(operations.pass_(credentials.password))
    elif mechanism == "APOP":
        digest = apop_digest(session.timestamp, credentials.password)
        yield from session.carry_out(operations.apop(credentials.user, digest))
    else:
        yield from session.carry_out(_auth(session, credentials, mechanism))


def _auth(session: ClientSession, credentials: Credentials, mechanism: str) -> Operation[Status]:
    """Return the AUTH line, with the initial response if the mechanism has one and it fits."""
    if session.options.initial_response:
        with_it = sasl.auth(mechanism, CLIENT_MECHANISMS[mechanism](credentials), initial=True)
        if len(with_it.request) <= LONGEST_AUTH_LINE:
            return with_it
    return sasl.auth(mechanism, CLIENT_MECHANISMS[mechanism](credentials))
