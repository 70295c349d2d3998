"""Where a benchmark runs: its folder, its cores, its programs, how long, and what it found."""

from __future__ import annotations

import contextlib
import os
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import load
import peers
import servers

import mail
from figures import Figures

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from servers import Running

OURS = "Restante"
SHARED = "Dovecot shared"  # the strongest configuration, which the targets name
TUNED, INSTALLED = "Dovecot tuned", "Dovecot as installed"
SETTLED = 2.2  # seconds; servers do not trust what they know of a folder that changed just now


def _cores() -> tuple[int, int]:
    """Return a core for the server and one for the load; the same where there is only one."""
    here = sorted(os.sched_getaffinity(0))
    return here[0], here[-1]


@dataclass
class Place:
    """A benchmark's surroundings.

    Attributes:
        folder: For mail and configurations; it goes away afterwards.
        programs: Where the compiled programs are.
        short: Whether to measure hardly at all, to see that everything works.
        figures: All that was measured.
        server_core: What the servers may run on.
        load_core: What the load may run on.
        moment: Seconds of a short measurement.
    """

    folder: Path
    programs: Path
    short: bool
    figures: Figures = field(default_factory=Figures)
    server_core: int = field(default_factory=lambda: _cores()[0])
    load_core: int = field(default_factory=lambda: _cores()[1])
    moment: float = 0.3

    def rounds(self, full: int) -> int:
        """Return how often to measure."""
        return 1 if self.short else full

    def seconds(self, full: float) -> float:
        """Return how long to measure."""
        return self.moment if self.short else full

    def many(self, full: int) -> int:
        """Return how many connections or messages to try."""
        return full // 20 if self.short else full

    def load(self, server: Running, scenario: str, **options: float) -> load.Result:
        """Return what a run of the load found, which has a core of its own."""
        options = {"spin": 1, **options}
        return load.run(self.programs / "load", {self.load_core}, server, scenario, **options)

    @contextlib.contextmanager
    def staying(self, server: Running, **options: float) -> Iterator[None]:
        """Keep connections open that have logged in, while the block runs."""
        with load.staying(self.programs / "load", {self.load_core}, server, **options):
            yield

    @contextlib.contextmanager
    def mail(self, name: str) -> Iterator[Path]:
        """Give a folder for the mail of some servers; it goes away with the block."""
        folder = self.folder / name
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder)

    @contextlib.contextmanager
    def serving(self, name: str, folder: Path, **sizes: int) -> Iterator[Running]:
        """Run a server over its mail, which is made if need be: users, messages, octets of each."""
        box, home = self.box(name, folder), folder / name.replace(" ", "-")
        if not box.exists():
            mail.maildirs(box, **sizes, owner=self.owner(name))
        with self._started(name, home, box) as server:
            yield server
        shutil.rmtree(home)  # so that it can be started here again

    def box(self, name: str, folder: Path) -> Path:
        """Return where the mail of a server lies: each has a copy of its own."""
        return folder / f"{name} mail".replace(" ", "-")

    def owner(self, name: str) -> int:
        """Return the owner of its mail."""
        return 0 if name == OURS else peers.NOBODY

    def _started(self, name: str, home: Path, box: Path) -> AbstractContextManager[Running]:
        core = self.server_core
        if name == OURS:
            return servers.restante(home, box, {core})
        if name == "Courier":
            return peers.courier(home, box, core)
        if name == "Twisted":
            return peers.twisted(home, box, core)
        return peers.dovecot(home, box, core, name)
