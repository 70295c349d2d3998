"""Costs of large messages to a node, PostgreSQL and an S3 server, with bodies in a bucket.

The server is moto, in Python and in memory. Its own time says little about another one.
"""

from __future__ import annotations

import smtplib
import statistics
from collections import defaultdict
from typing import TYPE_CHECKING

import mail

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from place import Place
    from servers import Running

USERS, MESSAGES = 20, 20
OCTETS = 75_000  # of a message that is read
SIZES = (75_000, 200_000, 1_000_000)  # of those that are delivered
DELIVERIES = 50
PATIENCE = 60.0  # seconds


def measure(
    place: Place, programs: Sequence[Running], lmtp: Path, first: int, rounds: int
) -> dict[str, list[float]]:
    """Return the microseconds of each of the programs, by what it costs; the first is the node.

    The users from `first` on have accounts, and no mail yet. Half of them get what is delivered.
    """
    for number in range(USERS * MESSAGES):
        _deliver(lmtp, [first + number % USERS], OCTETS)
    costs: dict[str, list[list[float]]] = defaultdict(list)
    for _ in range(rounds):
        costs["LIST, RETR of 20 of 75 kB"].append(
            _clock(programs, lambda: _drain(place, programs[0], first))
        )
        for octets in SIZES:
            users = [first + USERS + number % USERS for number in range(DELIVERIES)]
            work = _delivery(lmtp, users, octets)
            costs[f"delivery of {octets // 1000} kB"].append(_clock(programs, work))
    return {
        what: [statistics.median(values) for values in zip(*rows, strict=True)]
        for what, rows in costs.items()
    }


def _clock(programs: Sequence[Running], work: Callable[[], int]) -> list[float]:
    """Return the microseconds that each program needs for one of what `work` counts."""
    before = [program.cpu() for program in programs]
    done = work()
    return [
        (program.cpu() - begun) * 1e6 / done
        for program, begun in zip(programs, before, strict=True)
    ]


def _drain(place: Place, node: Running, first: int) -> int:
    found = place.load(
        node, "drain", users=USERS, messages=MESSAGES, connections=USERS // 2, sessions=USERS,
        seconds=PATIENCE, spin=0, first=first,
    )  # fmt: skip
    return found.sessions


def _delivery(lmtp: Path, users: Sequence[int], octets: int) -> Callable[[], int]:
    def deliver() -> int:
        _deliver(lmtp, users, octets)
        return len(users)

    return deliver


def _deliver(lmtp: Path, users: Sequence[int], octets: int) -> None:
    message = mail.message(octets, 1)
    with smtplib.LMTP(str(lmtp)) as client:
        for user in users:
            client.sendmail("ann@example.com", [f"u{user}"], message)
