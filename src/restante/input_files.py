"""The files that people name: configurations, accounts, certificates and secrets.

Only regular files are read. A pipe could keep a server waiting for ever, a device has no end, and
both may stand in a configuration by mistake.
"""

from __future__ import annotations

import codecs
import errno
import os
import stat
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from pathlib import Path

LARGEST_SETTINGS = 4 * 1024 * 1024  # octets of a configuration, a secret, or certificates
PART = 1024 * 1024  # octets
LARGEST_ACCOUNTS = 1024 * 1024 * 1024  # octets of a file with a line for each account

_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def require_file(path: str | Path) -> None:
    """Require that a path leads to a regular file, for a library that opens it. Raises OSError."""
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        raise _error(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "no file")
        raise _error(errno.EINVAL, f"it is {kind}; name a regular file", path)


def open_file(path: str | Path) -> BinaryIO:
    """Open a regular file to read its octets. Raises OSError."""
    return open(path, "rb", opener=_open_regular)


def read_octets(path: str | Path, largest: int = LARGEST_SETTINGS) -> bytes:
    """Return the octets of a regular file. Raises OSError, also for more than `largest` octets."""
    octets = bytearray()
    with open_file(path) as file:  # in parts: a read reserves memory for all that it may return
        while part := file.read(min(PART, largest + 1 - len(octets))):
            octets += part
    if len(octets) > largest:
        raise _error(errno.EFBIG, f"it is larger than {largest} octets", path)
    return bytes(octets)


def read_utf8(path: str | Path, largest: int = LARGEST_SETTINGS) -> bytes:
    """Return the octets of a text file without a byte order mark. Raises OSError: it is UTF-16."""
    octets = read_octets(path, largest)
    if octets.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or 0 in octets[:2]:
        raise _error(errno.EILSEQ, "it is UTF-16; save it as UTF-8", path)
    return octets.removeprefix(codecs.BOM_UTF8)


def read_text(path: str | Path, largest: int = LARGEST_SETTINGS, *, errors: str = "strict") -> str:
    """Return the text of a file, with LF at each line end. Raises OSError: it is not UTF-8."""
    octets = read_utf8(path, largest)
    try:
        text = octets.decode(errors=errors)
    except UnicodeDecodeError as error:
        line = octets.count(b"\n", 0, error.start) + 1
        problem = f"line {line} is not UTF-8; save the file as UTF-8"
        raise _error(errno.EILSEQ, problem, path) from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _open_regular(path: str, flags: int) -> int:
    require_file(path)  # before it is opened, which changes the state of some devices
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)


def _error(number: int, problem: str, path: str | Path) -> OSError:
    return OSError(number, problem, os.fspath(path))
