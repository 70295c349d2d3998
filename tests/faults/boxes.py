"""The stores that every fault is tried on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from faults.keeping import KeepingMaildir, KeepingMbox
from faults.mbox import Mbox
from faults.stores import OWNER, Box, Letter, Maildir
from restante.quota import Quota
from restante.storage.interfaces import Store
from restante.storage.maildir import MaildirStore
from restante.storage.paths import Layout


class _WithinQuota(MaildirStore):
    """Delivers within a quota, far from it."""

    async def deliver(self, owner: str, message: bytes) -> str:
        return (await self.deliver_within(owner, message, Quota(10**9, 10**6))).uid


class QuotaMaildir(Maildir):
    """A Maildir with a quota, whose sum is kept at each delivery and removal."""

    def store(self, root: Path) -> Store:
        return _WithinQuota(Layout(root))


class SpamMaildir(Maildir):
    """A Maildir with spam in a folder of it, which has the same quota and makes room first."""

    spam = (b"Subject: spam 1\n\n", b"Subject: spam 2\n\n")

    def store(self, root: Path) -> Store:
        return MaildirStore(Layout(root, junk="{user}/.Junk"))

    def fill(self, root: Path, letters: Sequence[Letter]) -> None:
        super().fill(root, letters)
        if letters:
            for part in ("tmp", "new", "cur"):
                (root / OWNER / ".Junk" / part).mkdir(parents=True)
            for number, octets in enumerate(self.spam, 1):
                (root / OWNER / ".Junk" / "cur" / f"{number}.M1P1.host:2,").write_bytes(octets)


BOXES: Mapping[str, Box] = {"maildir": Maildir(), "mbox": Mbox()}

KEEPING: Mapping[str, Box] = {
    "maildir that keeps": KeepingMaildir(),
    "mbox that keeps": KeepingMbox(),
}
"""The same with `mail.keep_deleted`."""

MORE_BOXES: Mapping[str, Box] = {"quota": QuotaMaildir(), "spam": SpamMaildir(), **KEEPING}
"""Those with a path of their own, on which a part of the scenarios is tried."""
