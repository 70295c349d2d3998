"""A program is killed at each of its calls in turn, and run again: what became of the mail?"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from faults.fetch.killing import Ended, Kill, count, run
from faults.fetch.letters import Tally, letters, tally
from faults.fetch.places import Place
from faults.fetch.programs import Program, Source
from restante.testing import MemoryServer

PASSWORD = "secret"

_trials = itertools.count(1)


@dataclass
class Row:
    """What came of the kills of one program and one destination.

    Attributes:
        kills: how many runs were killed.
        lost: letters that are nowhere.
        runs_with_doubles: how many runs left a letter twice at least.
        most_doubles: how many too many one run left.
        damaged: messages that arrived in part.
        left: letters at the server that should have gone, or have gone and should have stayed.
        failed: runs after a kill that ended with an error.
        stories: what happened where something was wrong.
    """

    program: str
    place: str
    kills: int = 0
    lost: int = 0
    runs_with_doubles: int = 0
    most_doubles: int = 0
    damaged: int = 0
    left: int = 0
    failed: int = 0
    stories: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.program} into {self.place}: {self.kills} kills, {self.lost} lost,"
            f" {self.runs_with_doubles} runs with doubles (at most {self.most_doubles}),"
            f" {self.damaged} damaged, {self.left} wrongly left or removed, {self.failed} failed"
        )


@dataclass(frozen=True)
class Trials:
    """Trials of a program with a destination, which all have the same server."""

    server: MemoryServer
    program: Program
    place: Place
    folder: Path
    keep: bool = False

    def points(self) -> list[Kill]:
        """Return where a run can be killed. Raises AssertionError: without a kill it fails."""
        sent, folder, source = self._begin()
        command = self.program.command(folder, source, self.place.url, keep=self.keep)
        ended, points = count(command, folder / "calls")
        found = self._tally(sent, source.user)
        assert ended.code == 0, ended.output
        assert found == Tally(0, 0, 0, self._left(sent), len(sent)), (found, ended.output)
        return points

    def row(
        self, points: Sequence[Kill], progress: Callable[[str], object] = lambda _: None
    ) -> Row:
        """Kill a run at each of these points."""
        row = Row(self.program.name, self.place.name)
        for number, point in enumerate(points, 1):
            progress(f"{number}/{len(points)} {point}")
            self.kill(point, row)
        return row

    def kill(self, point: Kill, row: Row) -> None:
        """Kill a run, run it again, and add what came of it."""
        sent, folder, source = self._begin()
        command = self.program.command(folder, source, self.place.url, keep=self.keep)
        if not run(command, point).killed:
            return  # another run of the same may make fewer calls
        row.kills += 1
        between = self._tally(sent, source.user)
        self.place.between()
        again = run(command)
        found = self._tally(sent, source.user)
        wrong_left = abs(found.left - self._left(sent))
        row.lost += max(found.lost, 0)
        row.runs_with_doubles += found.doubles > 0
        row.most_doubles = max(row.most_doubles, found.doubles)
        row.damaged += found.damaged
        row.left += wrong_left
        failed = again.code != 0
        row.failed += failed
        wrong = found.lost or found.damaged or wrong_left or failed
        if wrong or found.doubles > self.place.most_doubles:
            row.stories.append(_story(point, between, found, again))

    def _begin(self) -> tuple[list[bytes], Path, Source]:
        """Return the letters of a new user at the server, an empty folder, and the account."""
        number = next(_trials)
        user = f"user{number}"
        sent = letters(str(number))
        self.server.add(user, PASSWORD, *sent)
        self.place.reset()
        folder = self.folder / "program"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return sent, folder, Source(self.server.host, self.server.port, user, PASSWORD)

    def _tally(self, sent: Sequence[bytes], user: str) -> Tally:
        return tally(sent, self.place.messages(), self.server.messages(user))

    def _left(self, sent: Sequence[bytes]) -> int:
        return len(sent) if self.keep else 0


def _story(point: Kill, between: Tally, found: Tally, again: Ended) -> str:
    return f"killed at {point}: {between}, then {found}, exit {again.code}: {again.output[-400:]}"
