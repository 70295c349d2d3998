"""Sessions over TLS: full handshakes, resumed ones, and long drains."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from place import OURS, SHARED
from sessions import LARGE, SMALL, Scenario, start, take_turns, warm_up

if TYPE_CHECKING:
    from place import Place

_RESUMED = {"tls": 1, "resume": 1}
TLS_OF_SMALL = (
    Scenario("login", " TLS", {"tls": 1}),
    Scenario("login", " resumed", _RESUMED),
    Scenario("poll", " resumed", _RESUMED),
)
TLS_OF_LARGE = (Scenario("drain", " TLS", {"tls": 1}, seconds=1.5),)


def tls(place: Place) -> None:
    """Measure logins and polls of small maildrops, and drains of large ones, over TLS."""
    for sizes, scenarios in ((SMALL, TLS_OF_SMALL), (LARGE, TLS_OF_LARGE)):
        with place.mail("tls") as folder, contextlib.ExitStack() as stack:
            running = start(place, stack, folder, (OURS, SHARED), sizes)
            warm_up(place, running, sizes)
            take_turns(place, running, scenarios, sizes)
