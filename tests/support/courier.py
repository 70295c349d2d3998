"""Debian's courierpop3d, which `make bench-courier` unpacks beside an installed Dovecot."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from support.live import PATIENCE
from support.programs import need

UNPACKED = Path(__file__).parents[2] / "build" / "courier"
PROGRAM = UNPACKED / "usr/lib/courier/courier/courierpop3d"


def need_courier() -> str:
    """Return where courierpop3d is; without it the test is skipped, or fails in CI."""
    return need(str(PROGRAM))


def unique_ids(program: str, maildir: Path) -> list[str]:
    """Return the unique-ids in a session after the login, which another program does."""
    libraries = UNPACKED.glob("usr/lib/*-linux-gnu")
    places = [str(place) for here in libraries for place in (here, here / "courier-authlib")]
    done = subprocess.run(
        [program, "."],
        cwd=maildir,
        env={
            **os.environ,
            "AUTHENTICATED": "ann",
            "AUTHADDR": "ann",
            "MAILDIR": ".",
            "LD_LIBRARY_PATH": ":".join(places),
        },
        input=b"UIDL\r\nQUIT\r\n",
        capture_output=True,
        check=True,
        timeout=PATIENCE,
    )
    _, listing, *_ = done.stdout.decode().split("+OK\r\n")
    return [line.split()[1] for line in listing.partition("\r\n.\r\n")[0].splitlines()]
