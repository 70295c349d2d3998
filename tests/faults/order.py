"""What must be on the disk before an answer goes out, shown by the journal of calls.

A kill loses nothing that the kernel holds, a power cut does: so it is not enough to look at the
disk afterwards. A name lasts when its folder was synced after it changed, octets when their file
was.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath

from faults.promise import hold
from faults.shim import Call

GRANTED = b"+OK Logging out."
DELIVERED = b'{"uid"'


def check_removals(journal: Iterable[Call]) -> None:
    """Hold that each QUIT was granted after the removals were durable. Raises BreachError."""
    unsynced: set[str] = set()
    for call in filter(lambda call: call.done, journal):
        if call.op == "unlink":
            unsynced.add(_folder(call.path))
        elif call.op == "fsync":
            unsynced.discard(call.path)
        elif call.op == "send" and call.data.startswith(GRANTED):
            hold(not unsynced, f"QUIT was granted before these were synced: {unsynced}")


def check_deliveries(journal: Iterable[Call]) -> None:
    """Hold that each delivery was granted after the message was durable. Raises BreachError."""
    unsynced: set[str] = set()
    for call in filter(lambda call: call.done, journal):
        match call.op:
            case "write":
                unsynced.add(call.path)
            case "mkdir":
                unsynced.add(_folder(call.path))
            case "rename" | "link":
                hold(call.path not in unsynced, f"{call.path} got its name before it was synced")
                unsynced.add(_folder(call.other))
            case "fsync":
                unsynced.discard(call.path)
            case "send" if call.data.startswith(DELIVERED):
                hold(not unsynced, f"a delivery was granted before these were synced: {unsynced}")


def _folder(path: str) -> str:
    return str(PurePosixPath(path).parent)
