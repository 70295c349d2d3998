"""The login of one user, by a mechanism of SASL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from restante.protocol.errors import Refusal, ResponseCode, TlsRequired
from restante.protocol.server.needs import Need
from restante.protocol.server.sasl import find_mechanism, offered_mechanisms
from restante.protocol.server.sasl_exchange import SaslExchange
from restante.protocol.server.session import Session
from restante.protocol.server.settings import TLS_ELSEWHERE

if TYPE_CHECKING:
    from restante.protocol.server.needs import Reply
    from restante.protocol.server.sasl import Login
    from restante.protocol.server.settings import AuthOffer
    from restante.server.auth_socket.protocol.messages import LoginRequest


@dataclass(slots=True)
class AskUser(Need[bytes]):
    """The user's response to a challenge, in base64. Throws Refusal: none came."""

    challenge: bytes


class RelayedExchange(SaslExchange):
    """Challenges and responses that another program relays."""

    def ask(self, challenge: bytes) -> Reply:
        """Have a challenge relayed, and return the response, in base64."""
        return (yield from AskUser(challenge))


def list_mechanisms(offer: AuthOffer) -> list[str]:
    """Return the mechanisms to announce: those of users with TLS, without channel binding."""
    return offered_mechanisms(Session(offer=offer, channel=TLS_ELSEWHERE))


def log_in(request: LoginRequest, session: Session) -> Login:
    """Authenticate a user, and return the identity. Raises Refusal; `reason` has its text."""
    if request.mechanism not in list_mechanisms(session.offer):
        raise Refusal("This mechanism is not offered.")
    mechanism = find_mechanism(session, request.mechanism)
    if mechanism.server_first and request.initial is not None:
        raise Refusal("In this mechanism the server speaks first.")
    identity = yield from mechanism.log_in(RelayedExchange(session, request.initial))
    if identity.tls_required and not session.channel.tls:
        raise TlsRequired(identity.name)
    return identity


def reason(refusal: Refusal) -> str:
    """Return why a login failed, in words for the user."""
    if isinstance(refusal, TlsRequired):
        return "No logins in clear text here: use TLS."
    return str(refusal)


def is_temporary(refusal: Refusal) -> bool:
    """Return whether the same login may well succeed later."""
    return refusal.code is ResponseCode.SYS_TEMP
