"""Stores that break the promise, each in one way, to show that the checker sees it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from faults.mbox import Mbox
from faults.stores import Box, Maildir
from restante.storage.interfaces import Store
from restante.storage.maildir import MaildirStore
from restante.storage.maildir.maildrop import MaildirMaildrop
from restante.storage.maildir.quota import Change
from restante.storage.maildir.removal import FileRemoval
from restante.storage.mbox import MboxStore
from restante.storage.paths import Layout


class _Broken(MaildirStore):
    """Opens maildrops of a class of its own."""

    maildrop: type[MaildirMaildrop] = MaildirMaildrop

    async def acquire(self, owner: str, patience: float) -> MaildirMaildrop:
        maildrop = await super().acquire(owner, patience)
        assert isinstance(maildrop, MaildirMaildrop)
        maildrop.__class__ = self.maildrop
        return maildrop


class _Lying(MaildirMaildrop):
    async def remove(self, indexes: Sequence[int]) -> None:
        with contextlib.suppress(Exception):
            await super().remove(indexes)


class _Unsynced(MaildirMaildrop):
    def _remove(self, indexes: Sequence[int]) -> None:
        self._unlink_all(set(indexes), FileRemoval(self._held.folders, self._evidence, Change()))


class _Greedy(MaildirMaildrop):
    async def remove(self, indexes: Sequence[int]) -> None:
        await super().remove(range(len(self.contents.uids)) if indexes else indexes)


class LyingStore(_Broken):
    """Says that messages are removed, whatever happened."""

    maildrop = _Lying


class UnsyncedStore(_Broken):
    """Removes messages, but not durably."""

    maildrop = _Unsynced


class GreedyStore(_Broken):
    """Removes all messages where one was marked."""

    maildrop = _Greedy


class _Shortsighted(MaildirMaildrop):
    def _unlink_all(self, indexes: set[int], removal: FileRemoval) -> dict[int, OSError]:
        for entry in (self._entries[index] for index in indexes):
            os.unlink(entry.name, dir_fd=removal.folders[entry.folder])
        return {}


class ShortsightedStore(_Broken):
    """Removes the name of a message that it knows, and no other."""

    maildrop = _Shortsighted


class HalfStore(MaildirStore):
    """Writes messages where they are read."""

    async def deliver(self, owner: str, message: bytes) -> str:
        folder = self._layout.folder(owner) / "new"
        (folder / "99.half").write_bytes(message)
        for place in (folder / "99.half", folder):
            file = os.open(place, os.O_RDONLY)
            os.fsync(file)
            os.close(file)
        return "99.half"


class EagerStore(MaildirStore):
    """Says that messages are delivered, whatever happened."""

    async def deliver(self, owner: str, message: bytes) -> str:
        with contextlib.suppress(Exception):
            await super().deliver(owner, message)
        return "99.eager"


class HastyStore(MboxStore):
    """Writes messages at the end of an mbox, but not durably."""

    async def deliver(self, owner: str, message: bytes) -> str:
        with self._layout.folder(owner).open("ab") as file:
            file.write(b"From bob Fri Jul 14 02:40:00 2017\n" + message + b"\n")
        return "99.hasty"


def _box(kind: type[MaildirStore]) -> Box:
    class Broken(Maildir):
        def store(self, root: Path) -> Store:
            return kind(Layout(root))

    return Broken()


class _Hasty(Mbox):
    def store(self, root: Path) -> Store:
        return HastyStore(Layout(root))


BROKEN: Mapping[str, tuple[Box, str, str]] = {
    "lying": (_box(LyingStore), "everything deleted", "its removal was confirmed"),
    "unsynced": (_box(UnsyncedStore), "everything deleted", "before these were synced"),
    "greedy": (_box(GreedyStore), "marks taken away", "is lost"),
    "shortsighted": (_box(ShortsightedStore), "two names", "its removal was confirmed"),
    "half": (_box(HalfStore), "a big delivery", "nobody put there"),
    "eager": (_box(EagerStore), "by LMTP", "1 deliveries were confirmed, 0 are there"),
    "hasty": (_Hasty(), "by LMTP", "before these were synced"),
}
"""By name: the store, the scenario that shows its fault, and what the checker says."""
