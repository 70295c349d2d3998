"""CAPA: what the server can do. RFC 2449.

A row's function returns the argument of the capability for a session, or None if the session does
not have it. What is offered before login is announced after it, too (RFC 2449 section 5).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from restante.protocol.server.sasl import offered_mechanisms
from restante.protocol.server.session import AUTHORIZATION

if TYPE_CHECKING:
    from collections.abc import Callable

    from restante.protocol.server.session import Session
    from restante.protocol.server.settings import Identity


@dataclass(frozen=True, slots=True)
class Capability:
    """One line of CAPA's reply."""

    tag: str
    argument: Callable[[Session], str | None]
    source: str


def _always(_session: Session) -> str:
    return ""


def _utf8(_session: Session) -> str:
    """Names and passwords may be UTF-8 without the command UTF8, too: RFC 6856 section 2.2."""
    return "USER"


def _user(session: Session) -> str | None:
    return "" if session.channel.clear_text else None


def _sasl(session: Session) -> str | None:
    return " ".join(offered_mechanisms(session)) or None


def _stls(session: Session) -> str | None:
    """STLS is announced only if it is possible now: RFC 2595 section 4."""
    channel, state = session.channel, session.state
    possible = channel.can_start_tls and not channel.tls and state is AUTHORIZATION
    return "" if possible else None


def _login_delay(session: Session) -> str | None:
    """If users have delays of their own: before login the longest one, after it the user's."""
    offer, user = session.offer, _logged_in(session)
    if offer.longest_login_delay is None:
        return None if offer.login_delay is None else str(offer.login_delay)
    if user is None:
        return f"{offer.longest_login_delay} USER"
    return str(next((d for d in (user.login_delay, offer.login_delay) if d is not None), 0))


def _expire(session: Session) -> str:
    """If users have days of their own: before login the fewest, after it the user's."""
    offer, user = session.offer, _logged_in(session)
    days = offer.expire_days
    if offer.shortest_expire_days is not None:
        if user is None:
            return f"{offer.shortest_expire_days} USER"
        days = user.expire_days if user.expire_days is not None else days
    return "NEVER" if days is None else str(days)


def _logged_in(session: Session) -> Identity | None:
    return None if session.state is AUTHORIZATION else session.identity


def _implementation(session: Session) -> str | None:
    return session.settings.implementation or None


CAPABILITIES = (
    Capability("TOP", _always, "RFC 2449 section 6.1"),
    Capability("UIDL", _always, "RFC 2449 section 6.8"),
    Capability("USER", _user, "RFC 2449 section 6.2"),
    Capability("SASL", _sasl, "RFC 5034 section 3"),
    Capability("STLS", _stls, "RFC 2595 section 4"),
    Capability("UTF8", _utf8, "RFC 6856 section 2"),
    Capability("LANG", _always, "RFC 6856 section 3"),
    Capability("RESP-CODES", _always, "RFC 2449 section 6.4"),
    Capability("AUTH-RESP-CODE", _always, "RFC 3206 section 6"),
    Capability("PIPELINING", _always, "RFC 2449 section 6.6"),
    Capability("LOGIN-DELAY", _login_delay, "RFC 2449 section 6.5"),
    Capability("EXPIRE", _expire, "RFC 2449 section 6.7"),
    Capability("IMPLEMENTATION", _implementation, "RFC 2449 section 6.9"),
)


def capability_lines(session: Session) -> list[str]:
    """Return the lines of CAPA's reply for a session."""
    offered = ((row.tag, row.argument(session)) for row in CAPABILITIES)
    return [f"{tag} {argument}".rstrip() for tag, argument in offered if argument is not None]
