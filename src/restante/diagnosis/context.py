"""A check in the course of its work: the report it writes, and how steps are taken and timed."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from restante.client.reply_sync import ReplyTracker
from restante.diagnosis.report import Finding, Report, Step
from restante.protocol.errors import (
    ConnectionLostError,
    RemoteError,
    ReplyTimeoutError,
    ServerRefusedError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from restante.client.options import Target
    from restante.client.session import ClientSession
    from restante.client.socket_driver import SocketDriver
    from restante.diagnosis.request import CheckRequest
    from restante.protocol.client.effects import Dialogue, T

MOST_TRACE = 2000  # lines of a trace that are kept


class CheckAborted(Exception):  # noqa: N818  # it is the end of a check, no error
    """The check ends here: what it found is in the report."""


@dataclass(slots=True)
class CheckContext:
    """What the steps share."""

    question: CheckRequest
    report: Report
    target: Target
    began: float = field(default_factory=time.monotonic)
    address: str = ""  # the one that takes connections
    wire: SocketDriver | None = None
    counted: ReplyTracker = field(default_factory=ReplyTracker)
    ends: float = float("inf")  # by time.monotonic()
    limit: float = float("inf")  # seconds that the check may take, as it was asked for
    idle: float = 0.0  # seconds that were waited on purpose: at a prompt, for a locked maildrop

    @property
    def session(self) -> ClientSession:
        """The session, once there is a connection."""
        assert self.wire is not None
        return self.wire.session

    @property
    def online(self) -> SocketDriver:
        """The connection."""
        assert self.wire is not None
        return self.wire

    def run(self, dialogue: Dialogue[T]) -> T:
        """Hold a dialogue in which replies are counted. Raises RemoteError: desync among others."""
        return self.online.run(self.counted.in_sync(self.session, dialogue))

    @property
    def left(self) -> float:
        """How many seconds the check has left."""
        return max(0.1, self.ends - time.monotonic())

    @property
    def over(self) -> bool:
        """Whether the time for all of it is over."""
        return time.monotonic() >= self.ends

    def more_time(self, seconds: float) -> None:
        """Extend the time limit of the check by a number of seconds."""
        self.ends += seconds
        self.online.extend(seconds)

    def trace(self, direction: str, line: str) -> None:
        """Keep a line of the conversation."""
        if len(self.report.trace) < MOST_TRACE:
            self.report.trace.append((direction, line))
        if self.question.options.trace:
            self.question.options.trace(direction, line)

    @contextlib.contextmanager
    def step(self, phase: str) -> Iterator[Step]:
        """Take a step and time it; what goes wrong in it ends the check."""
        step = Step(phase, "ok", "")
        self.report.steps.append(step)
        self.counted = ReplyTracker()
        begun = time.monotonic() - self.idle
        try:
            yield step
        except RemoteError as error:
            self.fail(step, error)
            raise CheckAborted from error
        else:
            self._check_speed(step, time.monotonic() - self.idle - begun)
        finally:
            self._name_oddities(step)
            step.seconds = time.monotonic() - self.idle - begun
            if step.text or step.outcome != "ok":
                self.question.on_step(step)

    def _name_oddities(self, step: Step) -> None:
        """Make warnings of what was read although it was wrong."""
        known = {finding.id for finding in self.report.findings}
        found = self.session.oddities if self.wire is not None else {}
        for name, text in found.items():
            if name not in known:
                step.details.append(("warning", text))
                self.warn(step, name, text)

    def _check_speed(self, step: Step, seconds: float) -> None:
        limit = self.question.slow.get(step.phase)
        if limit is not None and seconds > limit:
            text = f"{step.phase} took {seconds:.1f} s, and more than {limit:g} s is slow"
            self.warn(step, "slow", text, {"phase": step.phase, "limit": limit})

    def fail(self, step: Step, error: RemoteError, *commands: str) -> None:
        """Put down what ended the check."""
        self._say_what_came(error)
        self._own_limit(error)
        facts: dict[str, Any] = {"command": error.command, "code": error.code}
        if error.others:
            facts["others"] = list(error.others)
            if error.phase != "login":
                step.details += [("also", other) for other in error.others]
        if isinstance(error, ServerRefusedError):
            facts["said"] = error.text
        if error.certificate:
            facts["certificate"] = dict(error.certificate)
        evidence = f"[{error.code}] {error.text}" if error.code else error.text
        if error.command and error.phase not in ("connect", "tls", "greeting"):
            step.details.append(("after", error.command))
        self.failure(step, error.id, evidence, facts, *commands)

    def _say_what_came(self, error: RemoteError) -> None:
        """Tell a reply that broke off from one that never came."""
        if self.wire is None or not isinstance(error, (ReplyTimeoutError, ConnectionLostError)):
            return
        came = self.counted.missing(self.session)
        unended = self.counted.is_unended(self.session)
        if isinstance(error, ReplyTimeoutError) and unended:
            error.id, error.text = "no-end", came
        elif came and not unended:
            error.text += f"; {came}"

    def _own_limit(self, error: RemoteError) -> None:
        """Name the check's own limit where it is over: the server has done nothing wrong."""
        if isinstance(error, ReplyTimeoutError) and self.over:
            came = error.text if error.id == "no-end" else error.text.partition("; ")[2]
            error.id = "out-of-time"
            error.text = f"the {round(self.limit, 1):g} seconds of the time limit have passed"
            error.text += f"; {came}" if came else ""

    def failure(
        self, step: Step, name: str, evidence: str, facts: dict[str, Any], *commands: str
    ) -> None:
        """Put down what ends the check."""
        step.outcome = "failure"
        step.text = step.text or evidence
        found = Finding(name, step.phase, "failure", evidence, facts, commands)
        self.report.findings.append(found)

    def warn(
        self, step: Step, name: str, evidence: str, facts: dict[str, Any] | None = None
    ) -> None:
        """Put down what is wrong and does not hinder."""
        if step.outcome == "ok":
            step.outcome = "warning"
        found = Finding(name, step.phase, "warning", evidence, facts or {})
        self.report.findings.append(found)

    def add_skipped_step(self, phase: str, why: str) -> None:
        """Put down a step that was left out, and why."""
        step = Step(phase, "not tried", why)
        self.report.steps.append(step)
        self.question.on_step(step)
