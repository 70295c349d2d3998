"""An mbox as other programs see it, and a look at it through the store."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from restante.storage.mbox import MboxStore
from restante.storage.mbox.maildrop import MboxMaildrop
from restante.storage.paths import Layout
from storage.contract import whole

T = TypeVar("T")

FROM = b"From ann@example.com Tue Nov 24 22:00:46 2026\n"


def letter(number: int, body: bytes = b"") -> bytes:
    body = body or b"letter %d\n" % number
    return b"Message-ID: <%d@example.com>\nSubject: %d\n\n" % (number, number) + body


class Box:
    """Ann's mbox."""

    def __init__(self, root: Path) -> None:
        root.mkdir()
        self.root = root
        self.file = root / "ann"
        self.store = MboxStore(Layout(root))

    def write(self, *messages: bytes) -> None:
        """Write an mbox as a delivery agent does that quotes nothing."""
        self.file.write_bytes(b"".join(FROM + message + b"\n" for message in messages))

    def append(self, *messages: bytes) -> None:
        with self.file.open("ab") as file:
            file.write(b"".join(FROM + message + b"\n" for message in messages))

    def settle(self) -> None:
        """Give the file a new past, in which nothing happened for long."""
        octets = self.file.read_bytes()
        old = time.time() - 100
        self.file.write_bytes(octets)
        os.utime(self.file, (old, old))

    def use(self, work: Callable[[MboxMaildrop], Awaitable[T]]) -> T:
        """Open the maildrop, use it and give it back."""

        async def run() -> T:
            maildrop = await self.store.acquire("ann", 0)
            try:
                return await work(maildrop)
            finally:
                maildrop.release()

        return asyncio.run(run())

    def uids(self) -> list[str]:
        async def look(maildrop: MboxMaildrop) -> list[str]:
            return list(maildrop.contents.uids)

        return self.use(look)

    def sizes(self) -> list[int]:
        async def look(maildrop: MboxMaildrop) -> list[int]:
            return list(maildrop.contents.sizes)

        return self.use(look)

    def texts(self) -> list[bytes]:
        async def look(maildrop: MboxMaildrop) -> list[bytes]:
            return [await whole(maildrop, i) for i in range(len(maildrop.contents.uids))]

        return self.use(look)

    def remove(self, *indexes: int) -> None:
        self.use(lambda maildrop: maildrop.remove(indexes))

    def deliver(self, message: bytes) -> str:
        return asyncio.run(self.store.deliver("ann", message))

    def beside(self) -> list[str]:
        """Return what else is in the folder."""
        return sorted(name for name in os.listdir(self.root) if name != "ann")
