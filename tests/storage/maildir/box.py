"""A Maildir as other programs see it, and a look at it through the store."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from restante.storage.disk_latency import DiskLatency
from restante.storage.maildir import MaildirStore
from restante.storage.maildir.maildrop import MaildirMaildrop
from restante.storage.paths import Layout
from storage.contract import whole

T = TypeVar("T")


class Quick(DiskLatency):
    """A disk that answers at once, however busy the machine is."""

    def __init__(self) -> None:
        super().__init__()
        self.is_fast = True

    def note(self, begun: float) -> None:
        pass


class Box:
    """Ann's Maildir."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / "ann"
        for part in ("tmp", "new", "cur"):
            (self.folder / part).mkdir(parents=True)
        self.restart()

    def restart(self) -> None:
        """Look at it as a server that was just started: it remembers nothing."""
        self.store = MaildirStore(Layout(self.root), latency=Quick())

    @property
    def cache(self) -> Path:
        return self.folder / "restante.sizes"

    def put(self, name: str, message: bytes = b"Subject: a\n\nhello\n") -> Path:
        """Put a message in, as a delivery agent does; `name` is new/... or cur/..."""
        file = self.folder / name
        file.write_bytes(message)
        return file

    def names(self) -> list[str]:
        return sorted(
            f"{part}/{name}" for part in ("new", "cur") for name in os.listdir(self.folder / part)
        )

    def session(self, use: Callable[[MaildirMaildrop], T]) -> T:
        """Open the maildrop, use it and give it back."""

        async def run() -> T:
            maildrop = await self.store.acquire("ann", 0)
            assert isinstance(maildrop, MaildirMaildrop)
            try:
                return use(maildrop)
            finally:
                maildrop.release()

        return asyncio.run(run())

    def sizes(self) -> list[int]:
        return self.session(lambda maildrop: list(maildrop.contents.sizes))

    def uids(self) -> list[str]:
        return self.session(lambda maildrop: list(maildrop.contents.uids))

    def texts(self) -> list[bytes]:
        async def run() -> list[bytes]:
            maildrop = await self.store.acquire("ann", 0)
            try:
                return [await whole(maildrop, i) for i in range(len(maildrop.contents.uids))]
            finally:
                maildrop.release()

        return asyncio.run(run())
