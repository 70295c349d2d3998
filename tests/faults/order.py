"""What must be on the disk before an answer goes out, shown by the journal of calls.

A kill loses nothing that the kernel holds, a power cut does: so it is not enough to look at the
disk afterwards. A name lasts when its folder was synced after it changed, octets when their file
was.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import PurePosixPath

from faults.promise import hold
from faults.shim import Call
from faults.stores import Box, Lasting

GRANTED = b"+OK Logging out."
RESTORED = b'{"restored"'
EXPIRED = b'{"expired"'
DELIVERED = (b'{"uid"', b"250 2.0.0 delivered")


def check_removals(journal: Iterable[Call], box: Box) -> None:
    """Hold that each QUIT was granted after the removals were durable. Raises BreachError."""
    _check(journal, box.removals, GRANTED)


def check_deliveries(journal: Iterable[Call], box: Box, *, at_end: bool = False) -> None:
    """Hold that each delivery was granted after the message was durable. Raises BreachError.

    `at_end`: it was granted when all was over.
    """
    unsynced = _check(journal, box.deliveries, DELIVERED)
    hold(not at_end or not unsynced, f"a delivery was granted before these were synced: {unsynced}")


def check_room(journal: Iterable[Call], box: Box) -> None:
    """Hold that removals that made room were durable before a delivery was granted."""
    _check(journal, box.removals, DELIVERED)


def check_undeletions(journal: Iterable[Call], lasting: Lasting) -> None:
    """Hold that an undeletion was granted after it was durable. Raises BreachError."""
    _check(journal, lasting, RESTORED)


def check_expiry(journal: Iterable[Call], box: Box) -> None:
    """Hold that an expiry was granted after it was durable. Raises BreachError."""
    _check(journal, box.removals, EXPIRED)


def _check(
    journal: Iterable[Call], lasting: Lasting, granted: bytes | tuple[bytes, ...]
) -> set[str]:
    """Return the files whose octets, and the folders whose names, are not synced at the end."""
    written: set[str] = set()
    unsynced: set[str] = set()
    for call in filter(lambda call: call.done, journal):
        op = "create" if call.op == "open" and call.flags & os.O_CREAT else call.op
        name = call.other or call.path
        if op == "fsync":
            written.discard(name)
            unsynced.discard(name)
        elif op == "write":
            written.add(name)
        elif op == "send" and call.data.startswith(granted):
            hold(not unsynced, f"it was granted before these were synced: {unsynced}")
        if op in lasting.ops and lasting.names.fullmatch(name):
            if op == "rename":
                hold(call.path not in written, f"{name} got its name before it was synced")
            if op == "write" and name != lasting.first:
                hold(lasting.first not in unsynced, f"{name} was written before its journal lasted")
            if op == "unlink":
                unsynced.discard(name)
            unsynced.add(name if op == "write" else str(PurePosixPath(name).parent))
    return unsynced
