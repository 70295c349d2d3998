"""The stores with `mail.keep_deleted`: at any moment, a message is in the maildrop or kept."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from faults.mbox import Mbox, split
from faults.promise import hold
from faults.stores import OWNER, Lasting, Maildir
from restante.storage.interfaces import Store
from restante.storage.maildir import MaildirStore
from restante.storage.mbox import MboxStore
from restante.storage.paths import Layout

MAILDIR_KEPT = f"{OWNER}/restante.deleted"
MBOX_KEPT = f".{OWNER}.restante.deleted"
KEPT_FILE = re.compile(re.escape(MBOX_KEPT) + r"/[0-9]+\.[0-9]+\.[0-9a-f]+")


class KeepingMaildir(Maildir):
    """Moves removed messages to a folder."""

    removes_without_names = False  # its folder is one
    removals = Lasting(
        frozenset({"unlink", "rename", "mkdir"}),
        re.compile(f"{OWNER}/(new|cur)/.*|{re.escape(MAILDIR_KEPT)}(/.*)?"),
    )
    restorations = Lasting(frozenset({"rename"}), re.compile(f"{OWNER}/(new|cur)/.*"))

    def store(self, root: Path) -> Store:
        return MaildirStore(Layout(root), keep_deleted=True)

    def kept(self, files: Mapping[str, bytes]) -> list[bytes]:
        return [octets for name, octets in files.items() if name.startswith(f"{MAILDIR_KEPT}/")]


class KeepingMbox(Mbox):
    """Copies removed messages to files in a folder."""

    removes_when_full = False
    removals = Lasting(
        frozenset({"write", "rename", "mkdir"}),
        re.compile(f"{OWNER}|{re.escape(MBOX_KEPT)}(/.*)?"),
    )
    restorations = Lasting(frozenset({"rename"}), re.compile(OWNER))

    def store(self, root: Path) -> Store:
        super().store(root)
        return MboxStore(Layout(root), keep_deleted=True)

    def kept(self, files: Mapping[str, bytes]) -> list[bytes]:
        found = [split(octets) for name, octets in files.items() if KEPT_FILE.fullmatch(name)]
        return [message for messages in found for message in messages]


def check_kept(messages: Sequence[bytes], there: Sequence[bytes], kept: Sequence[bytes]) -> None:
    """Hold that no message is lost, and that nothing is kept that was none of them."""
    for number, message in enumerate(messages, 1):
        hold(message in there or message in kept, f"message {number} is neither there nor kept")
    strange = [message for message in kept if message not in messages]
    hold(not strange, f"there is kept what nobody removed: {[m[:60] for m in strange]}")


def check_restored(before: set[bytes], there: Sequence[bytes]) -> None:
    """Hold that all messages are there once after an undeletion."""
    counts = Counter(there)
    hold(not before - counts.keys(), "a message was not restored")
    hold(not counts.keys() - before, "a message is there that was neither there nor kept")
    twice = [message[:60] for message, count in counts.items() if count > 1]
    hold(not twice, f"an undeletion has doubled {twice}")
