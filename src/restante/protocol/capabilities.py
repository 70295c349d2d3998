"""CAPA: what the server can do. RFC 2449.

A row's function says what follows the tag for a session, or None where the capability is not
there. What is offered before login is announced after it too (RFC 2449 section 5).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from restante.protocol.state import Session


@dataclass(frozen=True, slots=True)
class Capability:
    """One line of CAPA's reply."""

    tag: str
    argument: Callable[[Session], str | None]
    source: str


def _always(_session: Session) -> str:
    return ""


def _login_delay(session: Session) -> str | None:
    delay = session.settings.login_delay
    return None if delay is None else str(delay)


def _expire(session: Session) -> str:
    days = session.settings.expire_days
    return "NEVER" if days is None else str(days)


def _implementation(session: Session) -> str | None:
    return session.settings.implementation or None


CAPABILITIES = (
    Capability("TOP", _always, "RFC 2449 section 6.1"),
    Capability("UIDL", _always, "RFC 2449 section 6.8"),
    Capability("USER", _always, "RFC 2449 section 6.2"),
    Capability("RESP-CODES", _always, "RFC 2449 section 6.4"),
    Capability("AUTH-RESP-CODE", _always, "RFC 3206 section 6"),
    Capability("PIPELINING", _always, "RFC 2449 section 6.6"),
    Capability("LOGIN-DELAY", _login_delay, "RFC 2449 section 6.5"),
    Capability("EXPIRE", _expire, "RFC 2449 section 6.7"),
    Capability("IMPLEMENTATION", _implementation, "RFC 2449 section 6.9"),
)


def announced(session: Session) -> list[str]:
    """Return the lines of CAPA's reply for a session."""
    offered = ((row.tag, row.argument(session)) for row in CAPABILITIES)
    return [f"{tag} {argument}".rstrip() for tag, argument in offered if argument is not None]
