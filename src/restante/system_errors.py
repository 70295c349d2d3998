"""Errors of the operating system as texts for people: why a call failed, and what to do.

Python's own text of an error begins with its number, such as "[Errno 17]", and repeats the path.
"""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from restante.protocol.text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

OPEN_FILES = "raise the limit of open files (LimitNOFILE, ulimit -n)"
REJECTED = (  # of a database that rejects its client
    "check user, password and TLS in the file of the address; after a change, restart the server"
)
UNREACHED = "check that it runs, and its address"
_ROOT = "give root the right to it, or add CAP_DAC_OVERRIDE to CapabilityBoundingSet of the unit"
_UNIT = ", or add the folder to ReadWritePaths of the unit"
_OVERRIDE = 1 << 1  # CAP_DAC_OVERRIDE in a set of capabilities: capabilities(7)
_REMEDIES: Mapping[int, str] = {
    errno.EACCES: "check its owner and its permissions",
    errno.EADDRINUSE: "stop the program that uses it, or choose another one",
    errno.EADDRNOTAVAIL: "choose an address of this machine",
    errno.ECONNREFUSED: UNREACHED,
    errno.EDQUOT: "remove files, or raise the user's quota",
    errno.EEXIST: "choose another path",
    errno.EHOSTUNREACH: "check the network",
    errno.EIO: "check the disk",
    errno.EISDIR: "replace it by a file, or choose another path",
    errno.ELOOP: "replace the symbolic link",
    errno.EMFILE: OPEN_FILES,
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ENETUNREACH: "check the network",
    errno.ENFILE: OPEN_FILES,
    errno.ENOENT: "check the path",
    errno.ENOSPC: "free some space, or inodes (df -i)",
    errno.ENOTDIR: "replace it by a folder, or choose another path",
    errno.ENXIO: "start the program that reads it",
    errno.EPERM: "check its owner, its permissions and its attributes (lsattr)",
    errno.EROFS: "mount the disk writable",
}


def describe(error: OSError, path: Path | str = "") -> str:
    """Return the file that an error is about, or else `path`, and the explanation."""
    where = error.filename if isinstance(error.filename, str | Path) else path
    return explain_path(where, error) if where else explain(error)


def explain_path(path: object, error: OSError) -> str:
    """Return a path, in which line ends and escapes are visible, and why it cannot be used."""
    return f"{printable(str(path))}: {explain(error)}"


def explain_connection(error: OSError) -> str:
    """Return why a service, such as a database, gave no answer, and what to do."""
    if isinstance(error, TimeoutError):
        return f"no answer in time; {UNREACHED}"
    is_absent = isinstance(error, FileNotFoundError)  # its socket
    remedy = "" if is_absent else find_remedy(error)
    return f"{find_reason(error, 'the connection broke')}; {remedy or UNREACHED}"


def explain(error: OSError) -> str:
    """Return why a call failed and, if that is known, what to do."""
    remedy = find_remedy(error)
    return f"{find_reason(error)}; {remedy}" if remedy else find_reason(error)


def find_reason(error: OSError, unknown: str = "it took too long") -> str:
    """Return why a call failed, without the numbers of errors; `unknown` if nothing says it."""
    reason = error.strerror or re.sub(r"\[Errno -?\d+\] ", "", str(error)) or unknown
    return reason.partition(" (while attempting to bind on address")[0]  # by socket.create_server


def find_remedy(error: OSError) -> str:
    """Return what to do about an error, "" if that is unknown.

    The numbers of errors of TLS and of name resolution have other meanings.
    """
    if type(error).__module__ in {"ssl", "socket"}:
        return ""
    remedy = _REMEDIES.get(error.errno or 0, "")
    if error.errno == errno.EACCES and os.geteuid() == 0 and not _capabilities() & _OVERRIDE:
        return _ROOT
    if error.errno == errno.EROFS and "INVOCATION_ID" in os.environ:  # systemd's ProtectSystem=
        return remedy + _UNIT
    return remedy


def _capabilities() -> int:
    """Return the capabilities of this thread, all of them if the system does not say: proc(5)."""
    try:
        status = Path("/proc/self/status").read_bytes()
    except OSError:
        status = b""
    found = re.search(rb"\nCapEff:\s*([0-9a-f]+)\n", status)
    return int(found[1], 16) if found else -1
