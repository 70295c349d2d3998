"""Tables in memory that a process shares with those it forks.

A name is stored as a digest with a random key: an attacker can neither read names from it nor
choose names that fill one bucket. A table has a fixed size: a full bucket drops an entry.
"""

from __future__ import annotations

import hashlib
import mmap
import secrets
from typing import TYPE_CHECKING

from restante.server.limits.failures import NEVER
from restante.server.limits.process_lock import ProcessLock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from restante.server.limits.failures import Note

SLOTS_PER_BUCKET = 8  # rows of a bucket, where a key may stand
KEY = 16  # octets of a key
_NOBODY = bytes(KEY)


class BucketIndex:
    """Where in a table a name stands; `rows` is rounded up."""

    def __init__(self, rows: int) -> None:
        self._buckets = -(-rows // SLOTS_PER_BUCKET)
        self.rows = self._buckets * SLOTS_PER_BUCKET
        self._keys = mmap.mmap(-1, self.rows * KEY)
        self._secret = secrets.token_bytes(32)

    def hash_name(self, name: str) -> bytes:
        """Return the key of a name."""
        octets = name.encode(errors="surrogatepass")
        return hashlib.blake2b(octets, digest_size=KEY, key=self._secret).digest()

    def find(self, key: bytes) -> int | None:
        """Return the row of a key, if it has one."""
        bucket = self._bucket(key)
        begin = bucket * SLOTS_PER_BUCKET * KEY
        at = self._keys.find(key, begin, begin + SLOTS_PER_BUCKET * KEY)
        return at // KEY if at >= 0 and at % KEY == 0 else None

    def choice(self, key: bytes) -> range:
        """Return the rows where a key may stand."""
        first_row = self._bucket(key) * SLOTS_PER_BUCKET
        return range(first_row, first_row + SLOTS_PER_BUCKET)

    def is_used(self, row: int) -> bool:
        """Return whether a row has a key."""
        return self._keys[row * KEY : (row + 1) * KEY] != _NOBODY

    def put(self, row: int, key: bytes) -> None:
        """Store a key in a row."""
        self._keys[row * KEY : (row + 1) * KEY] = key

    def clear(self, row: int) -> None:
        """Free a row."""
        self.put(row, _NOBODY)

    def _bucket(self, key: bytes) -> int:
        return int.from_bytes(key[:8], "little") % self._buckets


class SharedCounters:
    """Counts by name, of each process apart: what one has counted goes away with it.

    A process writes only to its own column, except to clear that of an ended process. So a process
    may die anywhere in here, and the sums are right once its column is wiped.
    """

    def __init__(self, rows: int, columns: int, turn: ProcessLock | None = None) -> None:
        self._turn = turn or ProcessLock()
        self._keys = BucketIndex(rows)
        self._rows = self._keys.rows
        self._counts = memoryview(mmap.mmap(-1, columns * self._rows * 4)).cast("I")
        self._column = 0  # of this process; each has its rows in one piece

    def bind_worker(self, column: int) -> None:
        """Count in this column from now on, in a process that was just forked."""
        self._column = column
        self._turn.after_fork()

    def acquire(self, name: str, limit: int) -> bool | None:
        """Count one in; return False, and do not count it, if it is too many.

        Return None, and do not count it either, if the table has no room for its name.
        """
        key = self._keys.hash_name(name)
        with self._turn:
            row = self._keys.find(key)
            if row is None:
                row = next(self._free(key), None)
                if row is None:
                    return None
                self._keys.put(row, key)
            if self._total(row) >= limit:
                return False
            self._counts[self._column * self._rows + row] += 1
        return True

    def release(self, name: str) -> None:
        """Count one out.

        This requires no turn: while this process has counted one in, no other gives the row away,
        and none writes this number.
        """
        row = self._keys.find(self._keys.hash_name(name))
        if row is not None:
            at = self._column * self._rows + row
            self._counts[at] = max(0, self._counts[at] - 1)

    def count(self, name: str) -> int:
        """Return how many there are."""
        with self._turn:
            row = self._keys.find(self._keys.hash_name(name))
            return 0 if row is None else self._total(row)

    def clear_worker(self, column: int) -> None:
        """Forget what a process counted which has ended."""
        with self._turn:
            nothing = memoryview(bytes(self._rows * 4)).cast("I")
            self._counts[column * self._rows : (column + 1) * self._rows] = nothing

    def _free(self, key: bytes) -> Iterator[int]:
        """Find a row whose counts are all zero, so that its key is free."""
        return (row for row in self._keys.choice(key) if not self._total(row))

    def _total(self, row: int) -> int:
        return sum(self._counts[row :: self._rows])


class SharedTimestamps:
    """A number and a time by name. If the bucket is full, the oldest entry is dropped.

    Times are seconds of a clock that all processes share, as the monotonic one is.
    """

    def __init__(self, rows: int) -> None:
        self._turn = ProcessLock()
        self._keys = BucketIndex(rows)
        self._numbers = memoryview(mmap.mmap(-1, self._keys.rows * 4)).cast("I")
        self._times = memoryview(mmap.mmap(-1, self._keys.rows * 8)).cast("d")
        self._latest = memoryview(mmap.mmap(-1, 8)).cast("d")  # of all times, also forgotten ones
        self._latest[0] = NEVER

    def after_fork(self) -> None:
        """Renew the lock in a process that was just forked."""
        self._turn.after_fork()

    def latest(self) -> float:
        """Return the latest time recorded, or NEVER, at almost no cost."""
        return self._latest[0]

    def get(self, name: str) -> Note | None:
        """Return what was noted last."""
        key = self._keys.hash_name(name)
        with self._turn:
            return self._get(self._keys.find(key))

    def add(self, name: str, time: float, since: float) -> bool:
        """Note a time, and one more than the number before, which counts if it is not older.

        Return whether there was no room, so that another name was forgotten.
        """
        key = self._keys.hash_name(name)
        full = False
        with self._turn:
            row = self._keys.find(key)
            if row is None:
                row = min(self._keys.choice(key), key=self._times.__getitem__)
                full = self._keys.is_used(row) and self._times[row] >= since
                before = 0
            else:
                before = self._numbers[row] if self._times[row] >= since else 0
            self._keys.clear(row)
            self._numbers[row], self._times[row] = before + 1, time
            self._keys.put(row, key)
            self._latest[0] = max(self._latest[0], time)
        return full

    def note_first(self, name: str, time: float) -> bool:
        """Note a time, unless there is one; return whether there was none."""
        key = self._keys.hash_name(name)
        with self._turn:
            if self._keys.find(key) is not None:
                return False
            row = min(self._keys.choice(key), key=self._times.__getitem__)
            self._keys.clear(row)
            self._numbers[row], self._times[row] = 1, time
            self._keys.put(row, key)
        return True

    def drop(self, name: str) -> None:
        """Forget what was noted."""
        key = self._keys.hash_name(name)
        with self._turn:
            row = self._keys.find(key)
            if row is not None:
                self._keys.clear(row)
                self._times[row] = 0

    def _get(self, row: int | None) -> Note | None:
        return None if row is None else (self._numbers[row], self._times[row])
