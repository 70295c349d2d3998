"""A program is killed at each of its calls in turn, and run again: what became of the mail?"""

from __future__ import annotations

import compileall
import itertools
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

import restante
from faults.fetch.killing import Command, Ended, Kill, count, run
from faults.fetch.letters import Tally, letters, tally_all
from faults.fetch.places import Place
from faults.fetch.programs import Program, Source
from restante.testing import MemoryServer

PASSWORD = "secret"

IN_DOUBT = Kill("renameat", 3)
"""Where a delivery to a Maildir is killed, so that deliveries are in doubt."""

_trials = itertools.count(1)
_users = itertools.count(1)


@dataclass
class Row:
    """The results of the kills of one program and one destination.

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


class Scenario(Enum):
    """The run that is killed."""

    FETCHING = "fetch"
    """A run that fetches all mail, and deletes it."""
    KEEPING = "fetch, mail stays"
    """A run that fetches all mail, and leaves it at the server."""
    SETTLING = "settle"
    """A run after one that was killed where deliveries are in doubt."""
    MATCHING = "match"
    """A run of `--match` after a move of the server; mail stays."""


@dataclass(frozen=True)
class Trials:
    """Trials of a program with a destination, which all have the same server."""

    server: MemoryServer
    program: Program
    place: Place
    folder: Path
    scenario: Scenario = Scenario.FETCHING

    def points(self) -> list[Kill]:
        """Return where a run can be killed. Raises AssertionError: without a kill it fails."""
        compileall.compile_dir(Path(restante.__file__).parent, quiet=2)  # no run writes these files
        trial = self._begin()
        ended, points = count(trial.killed, trial.folder / "calls")
        assert ended.code in self._codes, ended.output
        self._finish(trial)
        found = self._tally(trial)
        assert found == Tally(0, 0, 0, trial.left, len(trial.sent)), (found, ended.output)
        return points

    def row(
        self, points: Sequence[Kill], progress: Callable[[str], object] = lambda _: None
    ) -> Row:
        """Kill a run at each of these points."""
        name = f"{self.program.name}, {self.scenario.value}" if self._special else self.program.name
        row = Row(name, self.place.name)
        for number, point in enumerate(points, 1):
            progress(f"{number}/{len(points)} {point}")
            self.kill(point, row)
        return row

    def kill(self, point: Kill, row: Row) -> None:
        """Kill a run, run it again, and add what came of it."""
        trial = self._begin()
        if not run(trial.killed, point).killed:
            return  # another run of the same may make fewer calls
        between = self._tally(trial)
        again = self._finish(trial)
        found = self._tally(trial)
        wrong_left = abs(found.left - trial.left)
        failed = again.code not in self._codes
        row.kills += 1
        row.lost += max(between.lost, found.lost)
        row.runs_with_doubles += found.doubles > 0
        row.most_doubles = max(row.most_doubles, found.doubles)
        row.damaged += found.damaged
        row.left += wrong_left
        row.failed += failed
        wrong = between.lost or found.lost or found.damaged or wrong_left or failed
        if wrong or found.doubles > self.place.most_doubles:
            row.stories.append(_story(point, between, found, again))

    @property
    def _special(self) -> bool:
        return self.scenario is not Scenario.FETCHING

    @property
    def _codes(self) -> tuple[int, ...]:
        """The exit codes of a good run: 1 where it says that a message may have come twice."""
        return (0, 1) if self.place.most_doubles else (0,)

    def _begin(self) -> Trial:
        """Return a trial with letters of its own, right before the run that is killed."""
        folder = self.folder / "program"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        self.place.reset()
        sent = letters(str(next(_trials)))
        keep = self.scenario in {Scenario.KEEPING, Scenario.MATCHING}
        source = self._account(sent)
        command = self.program.command(folder, source, self.place.urls, keep=keep)
        killed = command
        if self.scenario is Scenario.SETTLING:
            assert run(command, IN_DOUBT).killed
            self.server.messages(source.user)
        elif self.scenario is Scenario.MATCHING:
            assert run(command).code == 0
            source = self._account(sent)  # the same letters with other unique-ids
            command = self.program.command(folder, source, self.place.urls, keep=keep)
            killed = command.with_options("--match")
        return Trial(sent, folder, source, command, killed, len(sent) if keep else 0)

    def _finish(self, trial: Trial) -> Ended:
        """Do what comes after the run that was killed."""
        self.server.messages(trial.source.user)
        self.place.between()
        if trial.killed is not trial.command:
            again = run(trial.killed)
            assert again.code == 0, again.output
        return run(trial.command)

    def _account(self, sent: Sequence[bytes]) -> Source:
        user = f"user{next(_users)}"
        self.server.add(user, PASSWORD, *sent)
        return Source(self.server.host, self.server.port, user, PASSWORD)

    def _tally(self, trial: Trial) -> Tally:
        left = self.server.messages(trial.source.user)
        return tally_all(trial.sent, self.place.inboxes(), left)


@dataclass(frozen=True)
class Trial:
    """One kill.

    Attributes:
        sent: the letters.
        folder: what the program writes, and its configuration.
        source: the account.
        command: what fetches.
        killed: what is killed.
        left: how many letters are at the server in the end.
    """

    sent: list[bytes]
    folder: Path
    source: Source
    command: Command
    killed: Command
    left: int


def _story(point: Kill, between: Tally, found: Tally, again: Ended) -> str:
    return f"killed at {point}: {between}, then {found}, exit {again.code}: {again.output[-400:]}"
