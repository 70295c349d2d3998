"""Every serving process sets up itself in the same way."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from restante.server.system.process import ARENAS

COUNT_ARENAS = """
import ctypes, os, sys, tempfile, threading
from restante.server.system.process import limit_arenas
if "limited" in sys.argv: limit_arenas()
together = threading.Barrier(9)
def work():
    kept = bytearray(50_000)
    together.wait()
threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads: thread.start()
together.wait()
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
with tempfile.NamedTemporaryFile() as file:
    stream = ctypes.c_void_p(libc.fopen(file.name.encode(), b"w"))
    libc.malloc_info(0, stream)
    libc.fclose(stream)
    print(file.read().count(b"<heap nr="))
"""


def count_arenas(*arguments: str) -> int:
    command = [sys.executable, "-c", COUNT_ARENAS, *arguments]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
def test_limit_arenas() -> None:
    """However many threads there are, they share few arenas of memory."""
    assert count_arenas() > ARENAS
    assert count_arenas("limited") <= ARENAS
