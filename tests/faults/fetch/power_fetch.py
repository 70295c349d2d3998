"""A power cut after each call of a whole run of the fetcher: its journal is on the same disk.

`python -m faults.fetch.power_fetch TASK`, a `Task` in JSON, with the shim preloaded, prints what
came of it as JSON. On each disk that a power cut may leave, another run follows. The server has
deleted what it was asked to delete once QUIT was sent, and nothing before.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec

from faults.disk import Contents, History
from faults.fetch.letters import Tally, letters, tally
from faults.fetch.places import Maildir
from faults.fetch.powercut import write_contents
from faults.shim import Plan, Shim
from restante import blocking
from restante.client.blocking import Maildrop
from restante.fetch.destinations.maildir import MaildirDestination
from restante.fetch.errors import FetchError
from restante.fetch.fetcher import Fetcher
from restante.fetch.journal import Journal
from restante.fetch.planner import Policy
from restante.storage.memory import MemoryStore
from support.live import Live, serving

USER, PASSWORD = "ann", "secret"


class Task(msgspec.Struct):
    """The work of one process."""

    folder: str
    first: bool = False  # no run was there before
    every: int = 1  # of this many disks, one is tried


class Refilled(MemoryStore):
    """A store whose mail comes back with the same unique-ids."""

    def keep(self) -> None:
        """Note the mail that is there."""
        self._kept = dict(self._box(USER).messages)

    def refill(self, *, deleted: bool) -> None:
        """Have the mail again, or none."""
        self._box(USER).messages = {} if deleted else dict(self._kept)

    def left(self) -> list[bytes]:
        """Return what is there."""
        return list(self._box(USER).messages.values())


class Bench:
    """A disk with a Maildir and a journal, and a server."""

    def __init__(self, shim: Shim, task: Task, live: Live, store: Refilled) -> None:
        self.root = Path(task.folder, "disk")
        self.root.mkdir()
        self.sent = [letters("power")[number] for number in (0, 1, 4)]
        self.store = store
        self.place = Maildir(self.root / "Mail")
        self.place.reset()
        self._shim = shim
        self._live = live
        live.add(USER, PASSWORD)
        if not task.first:
            self.fetch()
        live.add(USER, PASSWORD, *self.sent)
        store.keep()

    def fetch(self, *, watched: bool = False) -> None:
        """Fetch all mail and delete it at the server. Raises RemoteError."""

        def connect(_: object) -> Maildrop:
            account = f"pop3://{USER}@127.0.0.1:{self._live.port}"
            drop = blocking.connect(account, password=PASSWORD)
            if watched:
                self._watch_connection()
            return drop

        with Journal(self.root / "state" / "fetch.db") as journal:
            destination = MaildirDestination(str(self.root / "Mail"))
            account = journal.open_account("work")
            for _ in Fetcher(account, [destination], connect, Policy(keep_seconds=0)).run():
                pass

    def cut(self) -> Iterator[tuple[Contents, bool]]:
        """Cut the power at each call; return each disk, and whether the server has deleted."""
        history, seen, deleted = History(self.root), set(), False
        self._shim.plan(self.root, Plan())
        pid = os.fork()
        if not pid:
            self._shim.arm()
            self.fetch(watched=True)
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        for call in self._shim.journal():
            deleted = deleted or (call.op == "send" and call.data.startswith(b"QUIT"))
            history.add(call)
            for contents in history.contents():
                disk = (deleted, frozenset(contents.items()))
                if disk not in seen:
                    seen.add(disk)
                    yield contents, deleted

    def restore(self, contents: Contents, *, deleted: bool) -> None:
        """Make the disk and the server anew. The folders of the Maildir stay: tokens know them."""
        for folder in self.root.iterdir():
            if folder != self.place.path:
                shutil.rmtree(folder)
        for part in ("tmp", "new", "cur"):
            for file in (self.place.path / part).iterdir():
                file.unlink()
        write_contents(self.root, contents)
        self.store.refill(deleted=deleted)

    def _watch_connection(self) -> None:
        for name in os.listdir("/proc/self/fd"):
            try:
                with socket.socket(fileno=os.dup(int(name))) as found:
                    if found.getpeername()[1] == self._live.port:
                        self._shim.watch(int(name), on=True)
            except (OSError, IndexError, TypeError):
                continue  # another file


def main(task: Task) -> None:
    """Print the results."""
    disks, missed, breaches = 0, 0, []
    with ExitStack() as stack:
        store = Refilled()
        bench = Bench(Shim(), task, stack.enter_context(serving(store)), store)
        for contents, deleted in itertools.islice(bench.cut(), 0, None, task.every):
            disks += 1
            bench.restore(contents, deleted=deleted)
            try:
                bench.fetch()
            except FetchError as error:
                missed += 1
                reason = error.id
            else:
                reason = ""
            found = tally(bench.sent, bench.place.inboxes()[0], store.left())
            right = (0, 0, 0) if reason == "fetch-journal" else Tally(0, 0, 0, 0, len(bench.sent))
            if (found if not reason else (found.lost, found.doubles, found.damaged)) != right:
                breaches.append(f"deleted={deleted}: {found} {reason} of {sorted(contents)}")
    json.dump({"disks": disks, "missed": missed, "breaches": breaches}, sys.stdout)


if __name__ == "__main__":
    main(msgspec.json.decode(sys.argv[1], type=Task))
