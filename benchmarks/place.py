"""Where a benchmark runs: its folder, its cores, its programs, how long, and what it found."""

from __future__ import annotations

import contextlib
import os
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import load
import mail
import peers
import servers
from figures import Figures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from servers import Running

OURS, TUNED, SHARED = "Restante", "Dovecot tuned", "Dovecot shared"
INSTALLED = "Dovecot as installed"
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
        """Return what a run of the load found."""
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
        yield folder
        shutil.rmtree(folder)

    @contextlib.contextmanager
    def serving(self, name: str, folder: Path, **sizes: int) -> Iterator[Running]:
        """Run a server with mail of its own: users, messages and octets of each."""
        box = folder / f"{name} mail".replace(" ", "-")
        if not box.exists():
            mail.maildirs(box, **sizes, owner=0 if name == OURS else peers.NOBODY)
        with self.over(name, folder, box) as server:
            yield server

    @contextlib.contextmanager
    def over(self, name: str, folder: Path, box: Path) -> Iterator[Running]:
        """Run a server over mail that is there."""
        home = folder / name.replace(" ", "-")
        core = self.server_core
        start: dict[str, Callable[[], AbstractContextManager[Running]]] = {
            OURS: lambda: servers.restante(home, box, {core}),
            "Courier": lambda: peers.courier(home, box, core),
            "Twisted": lambda: peers.twisted(home, box, core),
        }
        with start.get(name, lambda: peers.dovecot(home, box, core, name))() as server:
            yield server
        shutil.rmtree(home)
