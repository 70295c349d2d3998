"""A client of the library: fetches all mail into a Maildir, and deletes it.

Its arguments are FACE HOST PORT USER PASSWORD MAILDIR security=stls|tls| cafile=FILE. The face is
"blocking" or "asyncio".
"""

from __future__ import annotations

import asyncio
import ssl
import sys
import warnings
from pathlib import Path
from typing import Any

import restante
from restante import blocking

FACE, HOST, PORT, USER, PASSWORD, OUT, *MORE = sys.argv[1:]
SECURITY, CAFILE = (word.partition("=")[2] for word in MORE)
SCHEME = "pop3s" if SECURITY == "tls" else "pop3"
OPTIONS: dict[str, Any] = {
    "reply_seconds": 4,
    "context": ssl.create_default_context(cafile=CAFILE) if CAFILE else None,
    "require_tls": bool(SECURITY),
}


failed: list[restante.ServerRefusedError] = []


def store(message: blocking.Message | restante.Message, octets: bytes) -> bool:
    """Write a message into `tmp`, and move it into `new`; return whether it may be deleted.

    A message that is shorter than LIST says may be a part: it stays.
    """
    file = Path(OUT, "tmp", str(message.number))
    file.write_bytes(octets)
    file.rename(Path(OUT, "new", str(message.number)))
    return len(octets) >= message.size


def fetch_blocking() -> None:
    """Fetch by the blocking face."""
    with blocking.connect(f"{SCHEME}://{USER}@{HOST}:{PORT}", PASSWORD, **OPTIONS) as box:
        for message in box:
            try:
                if store(message, message.read()):
                    box.delete(message)
            except restante.ServerRefusedError as error:
                failed.append(error)
        box.commit()


async def fetch_asyncio() -> None:
    """Fetch by the asyncio face."""
    async with restante.connect(f"{SCHEME}://{USER}@{HOST}:{PORT}", PASSWORD, **OPTIONS) as drop:
        async for message in drop:
            try:
                if store(message, await message.read()):
                    await drop.delete(message)
            except restante.ServerRefusedError as error:
                failed.append(error)
        await drop.commit()


warnings.simplefilter("ignore", restante.SizeWarning)
try:
    if FACE == "blocking":
        fetch_blocking()
    else:
        asyncio.run(fetch_asyncio())
except restante.Pop3Error as error:
    sys.exit(str(error))
sys.exit("\n".join(map(str, failed)) or None)
