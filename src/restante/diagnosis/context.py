"""A check under way: its connection, its time limit, and the steps that it reports."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from restante.client.attempts import is_first_command
from restante.client.deadlines import LONGEST_WAIT
from restante.client.options import limit_passed_text
from restante.client.reply_sync import ReplyTracker
from restante.diagnosis.report import Finding, Report, Step
from restante.net.addresses import format_host_port
from restante.protocol.errors import (
    ConnectionLostError,
    RemoteError,
    ReplyTimeoutError,
    ServerRefusedError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from restante.client.discovery.discover import Discovery
    from restante.client.options import Target
    from restante.client.session import ClientSession
    from restante.client.socket_driver import SocketDriver
    from restante.diagnosis.request import CheckRequest
    from restante.protocol.client.effects import Dialogue, T

MAX_TRACE = 2000  # lines of a trace that are kept


class CheckAborted(Exception):  # noqa: N818  # it is the end of a check, no error
    """The check ends here: what it found is in the report."""


@dataclass(slots=True, eq=False)
class CheckContext:
    """The state that the steps share."""

    request: CheckRequest
    report: Report
    target: Target
    began: float = field(default_factory=time.monotonic)
    discovery: Discovery | None = None  # of an account that names no server
    address: str = ""  # the one that accepts connections
    driver: SocketDriver | None = None
    replies: ReplyTracker = field(default_factory=ReplyTracker)
    ends: float = float("inf")  # by time.monotonic()
    limit: float = float("inf")  # seconds that the check may take, as it was asked for
    idle: float = 0.0  # seconds that were waited on purpose: at a prompt, for a locked maildrop

    @property
    def session(self) -> ClientSession:
        """The session, once there is a connection."""
        assert self.driver is not None
        return self.driver.session

    @property
    def connection(self) -> SocketDriver:
        """The connection."""
        assert self.driver is not None
        return self.driver

    def run(self, dialogue: Dialogue[T]) -> T:
        """Hold a dialogue in which replies are counted. Raises RemoteError: desync among others."""
        return self.connection.run(self.replies.in_sync(self.session, dialogue))

    @property
    def left(self) -> float:
        """How many seconds the check has left."""
        return min(max(0.1, self.ends - time.monotonic()), LONGEST_WAIT)

    @property
    def over(self) -> bool:
        """Whether the time for all of it is over."""
        return time.monotonic() >= self.ends

    def extend(self, seconds: float) -> None:
        """Extend the time limit of the check by a number of seconds."""
        self.ends += seconds
        self.connection.extend(seconds)

    def trace(self, direction: str, line: str) -> None:
        """Add a line to the trace."""
        if len(self.report.trace) < MAX_TRACE:
            self.report.trace.append((direction, line))
        if self.request.options.trace:
            self.request.options.trace(direction, line)

    @contextlib.contextmanager
    def step(self, phase: str) -> Iterator[Step]:
        """Time and report a step. Raises CheckAborted: a RemoteError in it ends the check."""
        step = Step(phase, "ok", "")
        self.report.steps.append(step)
        self.replies = ReplyTracker()
        begun = time.monotonic() - self.idle
        try:
            yield step
        except RemoteError as error:
            self.fail(step, error)
            raise CheckAborted from error
        else:
            self._check_speed(step, time.monotonic() - self.idle - begun)
        finally:
            self._add_oddities(step)
            step.seconds = time.monotonic() - self.idle - begun
            if step.text or step.outcome != "ok":
                self.request.on_step(step)

    def _add_oddities(self, step: Step) -> None:
        """Warn of replies that were understood although they are wrong."""
        reported = {finding.id for finding in self.report.findings}
        oddities = self.session.oddities if self.driver is not None else {}
        for name, text in oddities.items():
            if name not in reported:
                step.details.append(("warning", text))
                self.warn(step, name, text)

    def _check_speed(self, step: Step, seconds: float) -> None:
        limit = self.request.slow.get(step.phase)
        if limit is not None and seconds > limit:
            text = f"{step.phase} took {seconds:.1f} s, and more than {limit:g} s is slow"
            self.warn(step, "slow", text, {"phase": step.phase, "limit": limit})

    def fail(
        self,
        step: Step,
        error: RemoteError,
        *commands: str,
        certificate: Mapping[str, Any] | None = None,
    ) -> None:
        """Record an error that ends the check, with the certificate if that is the cause."""
        self._note_partial_reply(error)
        self._note_time_limit(error)
        self._withdraw_capa_lost(step, error)
        self._note_address(step, error)
        facts: dict[str, Any] = {"command": error.command, "code": error.code}
        if error.others:
            facts["others"] = list(error.others)
            if error.phase != "login":
                step.details += [("also", other) for other in error.others]
        if isinstance(error, ServerRefusedError):
            facts["said"] = error.text
        if certificate is not None:
            facts["certificate"] = certificate
        evidence = error.said
        in_handshake = error.phase == "tls" and error.id not in ("conn-lost", "stalled")
        if error.command and error.phase not in ("connect", "greeting") and not in_handshake:
            step.details.append(("after", error.command))
        step.outcome = "failure"
        step.text = step.text or evidence
        finding = Finding(error.id, step.phase, "failure", evidence, facts, commands)
        self.report.findings.append(finding)

    def _withdraw_capa_lost(self, step: Step, error: RemoteError) -> None:
        """Withdraw the warning that a server works without CAPA, if the next command failed too."""
        if not isinstance(error, (ReplyTimeoutError, ConnectionLostError)) or self.driver is None:
            return
        if not is_first_command(error, self.session):
            return
        text = self.session.take_oddity("capa-lost")
        if text is not None:
            self.report.findings = [f for f in self.report.findings if f.id != "capa-lost"]
            step.details.append(("also", f"CAPA: {text}"))

    def _note_address(self, step: Step, error: RemoteError) -> None:
        """Name the address that failed, and how to check another one of the host."""
        if error.phase not in ("greeting", "tls"):
            return
        addresses = self.report.facts.get("addresses", {})
        working = [address for address, state in addresses.items() if state == "ok"]
        others = [address for address in working if address != self.address]
        if others:
            host = format_host_port(self.target.host, self.target.port)
            text = f"this is {self.address}; check {others[0]} by --resolve {host}:{others[0]}"
            step.details.append(("address", text))

    def _note_partial_reply(self, error: RemoteError) -> None:
        """Add to an error which part of the reply came, if any did."""
        if self.driver is None or not isinstance(error, (ReplyTimeoutError, ConnectionLostError)):
            return
        if error.id == "tls-noreply":  # the reply to STLS came, and nothing after it
            return
        part = self.replies.missing(self.session)
        unended = self.replies.is_unended(self.session)
        if isinstance(error, ReplyTimeoutError) and unended:
            error.id, error.text = "no-end", part
        elif part and not unended:
            error.text += f"; {part}"

    def _note_time_limit(self, error: RemoteError) -> None:
        """Name the time limit of the check as the cause, if it is over, and not the server."""
        if isinstance(error, ReplyTimeoutError) and self.over:
            part = error.text if error.id == "no-end" else error.text.partition("; ")[2]
            error.id = "out-of-time"
            error.text = limit_passed_text(self.limit)
            error.text += f"; {part}" if part else ""

    def warn(
        self, step: Step, name: str, evidence: str, facts: dict[str, Any] | None = None
    ) -> None:
        """Record a finding that does not end the check."""
        if step.outcome == "ok":
            step.outcome = "warning"
        finding = Finding(name, step.phase, "warning", evidence, facts or {})
        self.report.findings.append(finding)

    def add_skipped_step(self, phase: str, why: str) -> None:
        """Record a step that was left out, and why."""
        step = Step(phase, "not tried", why)
        self.report.steps.append(step)
        self.request.on_step(step)
