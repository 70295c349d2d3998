"""From an address to its server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.client.options import Target
from restante.protocol.failures import Unreachable

if TYPE_CHECKING:
    from restante.client.discovery import Candidate, Discovery
    from restante.client.options import Tls

SECONDS = 10.0


def target_of(address: str) -> Target:
    """Return the server of an address, as its domain says. Raises ValueError, Unreachable."""
    return chosen(discovered(address, SECONDS))


def discovered(address: str, seconds: float) -> Discovery:
    """Return all that is known of an address's server. Raises ValueError: it is no address."""
    from restante.client.discovery import discover  # it is large, and most accounts are URLs

    return discover(address, timeout=seconds)


def chosen(found: Discovery) -> Target:
    """Return what was discovered. Raises Unreachable: nothing was.

    A server without TLS is asked for it all the same: a password does not go in clear.
    """
    winner = found.winner
    if winner is None:
        text = f"no POP3 server is known for {found.domain}: name one, as in pop3s://ann@host"
        raise Unreachable("no-server", text, phase="discover")
    tls: Tls = "starttls" if winner.tls == "none" else winner.tls
    return Target(winner.host, winner.port, tls, winner.user)


def quietly(address: str, seconds: float) -> Candidate | None:
    """Return the server of an address where one is found in time, else None."""
    try:
        return discovered(address, seconds).winner
    except ValueError:
        return None
