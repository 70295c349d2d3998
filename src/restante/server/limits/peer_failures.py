"""Failed logins at the other nodes of a cluster, and those of this node that they do not know yet.

A pair of address and account is known by a digest, with a key that all nodes share. No digest of a
password leaves the node.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from restante.server.limits.failures import MAX_NAMES, NEVER

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from restante.server.limits.failures import Note

MAX_CHANGES = 10_000  # pairs whose failures wait to be shared
CLEARED = 0  # in place of a number of failures: the pair has logged in


class PeerFailures:
    """The failures at other nodes, for `Throttle`. Times are seconds of its clock."""

    def __init__(self) -> None:
        self._key = b""  # unknown at first: nothing is shared until then
        self._notes: dict[bytes, Note] = {}  # by pair
        self._latest = NEVER
        self._changes: dict[bytes, int] = {}  # by pair: failures, or CLEARED

    @property
    def ready(self) -> bool:
        """Whether the key of all nodes is known."""
        return bool(self._key)

    def set_key(self, key: bytes) -> None:
        """Set the key of all nodes, at most 64 octets."""
        self._key = key

    def latest(self) -> float:
        """Return when a login failed last at any node, as far as it is known, or NEVER."""
        return self._latest

    def get(self, network: str, user: str) -> Note | None:
        """Return the failures of a pair at all nodes, and when the last one was."""
        return self._notes.get(self._pair(network, user)) if self._notes else None

    def note_failure(self, network: str, user: str) -> None:
        """Let the other nodes know of one more failure. Beyond 10,000 pairs, it stays here."""
        pair = self._pair(network, user)
        if user and self._key and (pair in self._changes or len(self._changes) < MAX_CHANGES):
            self._changes[pair] = self._changes.get(pair, 0) + 1

    def clear(self, network: str, user: str) -> None:
        """Forget the failures of a pair, and let the other nodes forget them."""
        if not self._changes and not self._notes:
            return
        pair = self._pair(network, user)
        if pair in self._changes or pair in self._notes:
            self._changes[pair] = CLEARED
            self._notes.pop(pair, None)

    def take_changes(self) -> dict[bytes, int]:
        """Return what is to be shared, by pair, and forget it."""
        changes, self._changes = self._changes, {}
        return changes

    def put_back(self, changes: Mapping[bytes, int]) -> None:
        """Keep changes that could not be shared, beside those that came since."""
        for pair, number in changes.items():
            since = self._changes.get(pair)
            if since is None and len(self._changes) < MAX_CHANGES:
                self._changes[pair] = number
            elif since:  # not CLEARED meanwhile
                self._changes[pair] = since + number

    def merge(self, rows: Iterable[tuple[bytes, int, float]]) -> None:
        """Take the number of failures of each pair at all nodes, and the time of the last one."""
        for pair, number, time in rows:
            if pair in self._changes:  # they come back with the next answer
                continue
            self._notes.pop(pair, None)
            if number != CLEARED:
                self._notes[pair] = number, time
                self._latest = max(self._latest, time)
        while len(self._notes) > MAX_NAMES:
            del self._notes[next(iter(self._notes))]

    def _pair(self, network: str, user: str) -> bytes:
        octets = network.encode() + b"\0" + user.encode(errors="surrogatepass")
        return hashlib.blake2b(octets, digest_size=16, key=self._key).digest()
