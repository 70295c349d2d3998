"""Runs a client at each fault, and judges it."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from restante.misbehave.driver import serving
from restante.misbehave.fault import ALL, Fault
from restante.misbehave.score import client_process
from restante.misbehave.score.client_process import Limits
from restante.misbehave.score.command import LAYERS, check_command, fill, supports
from restante.misbehave.score.judge import VERDICTS, RunEvidence, ScoreFinding, Verdict, judge
from restante.misbehave.score.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from restante.misbehave.driver import FaultyServer
    from restante.misbehave.fault import Security
    from restante.misbehave.score.command import Layer

JOBS = 2
TAIL = 2000  # octets of a client's output that are kept


class ClientCommandError(ValueError):
    """The command does not fetch and delete, even from a server without a fault."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The run of a client at one fault.

    Attributes:
        findings: what was wrong, the worst first; none for a clean run.
        seconds: how long the last try took.
        exit: the exit code of the last try, None if the time limit ended it.
        output: the end of what the client printed.
    """

    fault: Fault
    findings: tuple[ScoreFinding, ...]
    seconds: float
    exit: int | None = 0
    output: str = ""

    @property
    def verdict(self) -> Verdict:
        """The worst verdict, or "clean"."""
        return self.findings[0].verdict if self.findings else "clean"

    @property
    def detail(self) -> str:
        """The reason for the worst verdict, empty for a clean run."""
        return self.findings[0].detail if self.findings else ""


@dataclass(slots=True)
class Card:
    """The outcomes of a client at all faults.

    Attributes:
        command: the client's command, with its placeholders.
        skipped: the faults that were left out, because the client has no STLS or no TLS.
    """

    command: Sequence[str]
    outcomes: list[Outcome] = field(default_factory=list)
    skipped: list[Fault] = field(default_factory=list)

    @property
    def clean(self) -> int:
        """How many runs were clean."""
        return self.count("clean")

    def count(self, verdict: Verdict) -> int:
        """Return how many runs have this as their worst verdict."""
        return sum(outcome.verdict == verdict for outcome in self.outcomes)

    @property
    def counts(self) -> dict[Verdict, int]:
        """The number of runs by their worst verdict, without zeros, the worst first."""
        return {verdict: self.count(verdict) for verdict in VERDICTS if self.count(verdict)}


@dataclass(frozen=True, slots=True)
class ScoreRun:
    """A command, and how it is run.

    Attributes:
        jobs: how many runs go on at once.
        without: what the client has not, "stls" or "tls".
    """

    command: Sequence[str]
    limits: Limits = field(default_factory=Limits)
    jobs: int = JOBS
    without: Collection[Layer] = ()

    async def run(
        self,
        faults: Iterable[Fault],
        on_outcome: Callable[[Outcome], object] = lambda _: None,
    ) -> Card:
        """Return the card of the client.

        Raises ValueError: the command lacks a placeholder. Raises ClientCommandError: it fails at a
        server without a fault.
        """
        check_command(self.command)
        card = Card(self.command)
        runnable: list[Fault] = []
        for fault in faults:
            (runnable if self._can_run(fault.security) else card.skipped).append(fault)
        await self._check_first({fault.security for fault in runnable} | {"any"})
        slots = asyncio.Semaphore(self.jobs)

        async def take_turn(fault: Fault) -> None:
            async with slots:
                outcome = await self.run_at(fault)
            card.outcomes.append(outcome)
            on_outcome(outcome)

        async with asyncio.TaskGroup() as group:
            for fault in runnable:
                group.create_task(take_turn(fault))
        place_by_name = {fault.name: place for place, fault in enumerate(runnable)}
        card.outcomes.sort(key=lambda outcome: place_by_name[outcome.fault.name])
        return card

    async def run_at(self, fault: Fault) -> Outcome:
        """Run the client at one fault. A run without an end is repeated once."""
        outcome = await self._try(fault)
        return await self._try(fault) if outcome.exit is None else outcome

    def _can_run(self, security: Security) -> bool:
        layer = LAYERS.get(security)
        return layer not in self.without and supports(self.command, security)

    async def _check_first(self, securities: Collection[Security]) -> None:
        """Run the client at servers without a fault. Raises ClientCommandError."""
        for security in sorted(securities):
            outcome = await self.run_at(faultless(security))
            if outcome.findings:
                layer = f" with {LAYERS[security].upper()}" if security in LAYERS else ""
                raise ClientCommandError(
                    f"the client does not work at a server without a fault{layer}: "
                    f"{outcome.detail}. Its output: {outcome.output.strip() or '(none)'}"
                    f"{_path_hint(self.command)}"
                )

    async def _try(self, fault: Fault) -> Outcome:
        begun = time.monotonic()
        with Sandbox(fault.name) as sandbox:
            async with serving(fault) as server:
                words = fill(self.command, _values(server, sandbox), fault.security)
                ended = await client_process.run(
                    words, sandbox.work, sandbox.environment, self.limits
                )
            evidence = RunEvidence(
                given=server.given,
                removed=server.removed,
                stored=sandbox.read_mail(),
                exit=ended.exit,
                output=ended.output,
                outside=sandbox.find_outside(),
                commands=server.commands,
                leaked=server.leaked,
            )
        findings = (*judge(fault, evidence), *_judge_removal(fault, server))
        tail = ended.output[-TAIL:].decode("utf-8", "replace")
        return Outcome(fault, findings, time.monotonic() - begun, ended.exit, tail)


def faultless(security: Security) -> Fault:
    """Return a server without a fault, for a client with this security."""
    return Fault(name="", sentence="has no fault", good_client=ALL, security=security)


def _path_hint(command: Sequence[str]) -> str:
    """Return advice about a file that the client cannot find by its relative path, "" for none."""
    for word in command:  # a word may be a program, too long for `Path.is_file`
        if os.path.isfile(word) and not Path(word).is_absolute():
            return f"\nThe client runs in a folder of its own: write {Path(word).absolute()}"
    return ""


def _judge_removal(fault: Fault, server: FaultyServer) -> list[ScoreFinding]:
    """Report a client that leaves mail at a faultless server: it was not set up to delete."""
    if fault.name or not server.left:
        return []
    return [ScoreFinding("MISSED", "it does not delete the messages that it fetched")]


def _values(server: FaultyServer, sandbox: Sandbox) -> dict[str, str]:
    implicit = server.fault.security == "implicit"
    return {
        "host": server.host,
        "port": str(server.tls_port if implicit else server.port),
        "user": server.user,
        "password": server.password,
        "out": str(sandbox.mail),
        "cafile": str(server.authority or ""),
    }
