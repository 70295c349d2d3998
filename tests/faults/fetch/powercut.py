"""A power cut after each call of a delivery of fetched mail, with all that it may leave.

`python -m faults.fetch.powercut TASK`, a `Task` in JSON, with the shim preloaded, prints what came
of it as JSON. One batch is delivered once, by a process that says what its journal has. Each disk
that a power cut may leave is then settled as the next run does, by what the journal had at that
moment. The journal itself lasts here: it is another disk.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from faults.disk import Contents, History, Link, Target
from faults.fetch.letters import Tally, letters, tally
from faults.fetch.places import Maildir, Mbox, Place
from faults.shim import Call, Plan, Shim
from faults.stores import LONG_AGO
from fetch.destinations.contract import deliver, write
from restante.fetch.destinations.maildir import MaildirDestination
from restante.fetch.destinations.mbox.destination import MboxDestination
from restante.fetch.interfaces import Destination, Settled
from restante.fetch.spool import Spool


class UnsureError(Exception):
    """The destination does not know whether it has a letter."""


class Task(msgspec.Struct):
    """The work of one process."""

    folder: str
    kind: str
    settling: int = 0  # of this many disks, one has the power cut again when it is settled


class Journal(msgspec.Struct):
    """The state of the batch in the fetcher's journal."""

    state: str = "new"  # then "prepared", then "here"
    tokens: list[str] = []


@dataclass(frozen=True)
class Kind:
    """A kind of destination on a disk.

    Attributes:
        place: how others see what is below a folder.
        destination: what delivers below a folder.
        moved: a token of the same disk, when it is made anew: its inodes have other numbers.
    """

    place: Callable[[Path], Place]
    destination: Callable[[Path, Path], Destination]
    moved: Callable[[Path, str], str]


def _moved_maildir(root: Path, token: str) -> str:
    return f"{(root / 'Mail/tmp').stat().st_ino:x} {token.partition(' ')[2]}"


def _moved_mbox(root: Path, token: str) -> str:
    return json.dumps({**json.loads(token), "inode": (root / "box/ann").stat().st_ino})


class Hasty(MaildirDestination):
    """A destination that forgets to sync the names in tmp, and those in new."""

    def prepare(self, drafts: Sequence[Any]) -> list[str]:
        for draft in drafts:
            draft.wait()  # a thread makes its file in tmp
        self._tmp, real = os.open("/tmp", os.O_RDONLY), self._tmp
        try:
            tokens = super().prepare(drafts)
        finally:
            os.close(self._tmp)
            self._tmp = real
        return tokens


KINDS = {
    "maildir": Kind(
        lambda root: Maildir(root / "Mail"),
        lambda root, _: MaildirDestination(str(root / "Mail")),
        _moved_maildir,
    ),
    "hasty": Kind(
        lambda root: Maildir(root / "Mail"),
        lambda root, _: Hasty(str(root / "Mail")),
        _moved_maildir,
    ),
    "mbox": Kind(
        lambda root: Mbox(root / "box"),
        lambda root, spool: MboxDestination(str(root / "box/ann"), Spool(str(spool))),
        _moved_mbox,
    ),
}


class Bench:
    """A disk, and processes that deliver to it."""

    def __init__(self, shim: Shim, task: Task) -> None:
        self.root = Path(task.folder, "disk")
        self.root.mkdir()
        self._spool = Path(task.folder, "spool")
        self._shim = shim
        self._kind = KINDS[task.kind]
        self.sent = [letters("power")[number] for number in (0, 3, 1)]  # one is long
        self.place = self._kind.place(self.root)
        self.place.reset()

    def run(self, work: Callable[[Callable[[Journal], None]], object]) -> list[Call]:
        """Do some work in a process, and return its calls, with what it says among them."""
        here, there = socket.socketpair()
        self._shim.plan(self.root, Plan())
        with here, there:
            pid = os.fork()
            if not pid:
                self._shim.arm()
                self._shim.watch(there.fileno(), on=True)
                work(lambda journal: there.sendall(msgspec.json.encode(journal)))
                os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0
        return self._shim.journal()

    def deliver(self, say: Callable[[Journal], None]) -> None:
        """Deliver all letters as one batch."""
        destination = self.opened()
        drafts = [write(destination, _on_wire(letter), n) for n, letter in enumerate(self.sent)]
        tokens = destination.prepare(drafts)
        say(Journal("prepared", tokens))
        for draft in drafts:
            destination.deliver(draft)
        destination.sync()
        say(Journal("here"))
        destination.close()

    def settle(self, journal: Journal) -> list[bytes]:
        """Settle as the next run does, and return what it retrieves again.

        Raises UnsureError: the destination does not know what became of a letter.
        """
        missing = list(self.sent) if journal.state == "new" else []
        with closing(self.opened()) as destination:
            for letter, token in zip(self.sent, journal.tokens, strict=False):
                settled = destination.settle(self._kind.moved(self.root, token))
                if settled is Settled.UNKNOWN:
                    raise UnsureError
                missing += [] if settled is Settled.HERE else [letter]
        return missing

    def deliver_again(self, letters: Sequence[bytes]) -> None:
        """Deliver letters in the next run."""
        with closing(self.opened()) as destination:
            deliver(destination, *map(_on_wire, letters))

    def opened(self) -> Destination:
        """Return a destination as a new process has it."""
        destination = self._kind.destination(self.root, self._spool)
        destination.open()
        return destination

    def restore(self, contents: Contents) -> None:
        """Make the disk anew."""
        for folder in self.root.iterdir():
            shutil.rmtree(folder)
        write_contents(self.root, contents)


def write_contents(root: Path, contents: Contents) -> None:
    """Write what a power cut has left into a folder, long after its files were made."""
    for path in sorted(contents):
        text, place = contents[path], root / path
        if text is None:
            place.mkdir(exist_ok=True)
        elif isinstance(text, Target):
            place.symlink_to(os.fsdecode(text))
        elif not isinstance(text, Link):
            place.write_bytes(text)
            os.utime(place, (LONG_AGO, LONG_AGO))
    for path, text in contents.items():
        if isinstance(text, Link):
            os.link(root / text, root / path)


def cut(bench: Bench) -> Iterator[tuple[Contents, Journal]]:
    """Cut the power at each call of a delivery; return each disk, and what the journal has."""
    history, seen, journal = History(bench.root), set(), Journal()
    calls = bench.run(bench.deliver)
    for call in (None, *calls):
        if call is not None:
            journal = _said(call) or journal
            history.add(call)
        for contents in history.contents():
            disk = (journal.state, frozenset(contents.items()))
            if disk not in seen:
                seen.add(disk)
                yield contents, journal


def cut_again(bench: Bench, every: int) -> Iterator[tuple[Contents, Journal]]:
    """Cut the power again while what the first cut left is settled."""
    seen = set()
    left = [disk for disk in cut(bench) if disk[1].state == "prepared"]
    for first, journal in left[::every]:
        bench.restore(first)
        history = History(bench.root)
        for call in bench.run(lambda _: bench.settle(journal)):  # noqa: B023  # it ends at once
            history.add(call)
            for contents in history.contents():
                if (disk := frozenset(contents.items())) not in seen:
                    seen.add(disk)
                    yield contents, journal


def _said(call: Call) -> Journal | None:
    return msgspec.json.decode(call.data, type=Journal) if call.op == "send" else None


def _on_wire(letter: bytes) -> bytes:
    return re.sub(rb"(?<!\r)\n", b"\r\n", letter)


def main(task: Task) -> None:
    """Print the results."""
    bench = Bench(Shim(), task)
    disks, breaches = 0, []
    right = Tally(0, 0, 0, 0, len(bench.sent))
    for contents, journal in cut_again(bench, task.settling) if task.settling else cut(bench):
        disks += 1
        bench.restore(contents)
        try:
            bench.deliver_again(bench.settle(journal))
            found = str(tally(bench.sent, bench.place.inboxes()[0], []))
        except UnsureError:
            found = "in doubt"
        if found != str(right):
            breaches.append(f"{journal.state}: {found} of {sorted(contents)}")
    json.dump({"disks": disks, "breaches": breaches}, sys.stdout)


if __name__ == "__main__":
    main(msgspec.json.decode(sys.argv[1], type=Task))
