"""The result of a check as data, for the screen, `--json`, `monitor` and the library."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA = "restante.check/1"

Outcome: TypeAlias = Literal["ok", "warning", "failure", "not tried"]


@dataclass(slots=True)
class Step:
    """One phase of a check.

    Attributes:
        phase: discover, connect, tls, greeting, capa, login, mailbox, messages or quit.
        outcome: "ok", "warning", "failure" or "not tried".
        text: the result in one line.
        seconds: how long it took, None if it was not tried.
        details: more lines, each a label and a text.
    """

    phase: str
    outcome: Outcome
    text: str
    seconds: float | None = None
    details: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong with an account.

    Attributes:
        id: its name, such as "auth-failed"; `pop3 explain` has its text.
        phase: the phase of the step that found it.
        severity: "warning" or "failure".
        evidence: what was seen, with the server's own words.
        facts: the evidence for programs.
        commands: commands of `pop3` to run next.
    """

    id: str
    phase: str
    severity: Literal["warning", "failure"]
    evidence: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    commands: tuple[str, ...] = ()


@dataclass(slots=True)
class Report:
    """The result of a check.

    Attributes:
        account: as it was given.
        steps: the phases, in order.
        findings: what is wrong.
        facts: capabilities, addresses, certificate, mailbox and so on, for programs.
        trace: the session, each "<" or ">" and a line without secrets.
        seconds: how long the check took.
        changed: always False: a check changes nothing.
        logged_in: whether the login succeeded.
    """

    account: str
    steps: list[Step] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    trace: list[tuple[str, str]] = field(default_factory=list)
    seconds: float = 0.0
    changed: bool = False
    logged_in: bool = False

    @property
    def failure(self) -> Finding | None:
        """The finding that ended the check, None if none did."""
        return next((f for f in self.findings if f.severity == "failure"), None)

    @property
    def warnings(self) -> list[Finding]:
        """The findings that did not end the check."""
        return [f for f in self.findings if f.severity == "warning"]

    @property
    def ok(self) -> bool:
        """Whether the account works, with warnings or without."""
        return self.failure is None

    @property
    def id(self) -> str:
        """The id of the failure, else of the first warning, else "ok"."""
        worst = self.failure or next(iter(self.warnings), None)
        return worst.id if worst else "ok"

    @property
    def exit_code(self) -> int:
        """The exit code of `pop3 check`."""
        if self.failure:
            from restante.diagnosis.explanations import explain

            return explain(self.failure.id).exit
        return 1 if self.warnings else 0

    def as_json(self) -> dict[str, Any]:
        """Return the report as a dict for `json.dumps`, in the schema restante.check/1."""
        return {
            "schema": SCHEMA,
            "account": self.account,
            "verdict": "failure" if self.failure else "warning" if self.findings else "ok",
            "id": self.id,
            "exit": self.exit_code,
            "seconds": round(self.seconds, 4),
            "changed": self.changed,
            "facts": self.facts,
            "steps": [_step(step) for step in self.steps],
            "findings": [_finding(finding) for finding in self.findings],
            "trace": [f"{direction} {line}" for direction, line in self.trace],
        }


def _step(step: Step) -> dict[str, Any]:
    seconds = None if step.seconds is None else round(step.seconds, 4)
    details: dict[str, str] = {}
    for label, text in step.details:
        name = label.strip(": ")
        details[name] = f"{details[name]}; {text}" if name in details else text
    return {
        "phase": step.phase,
        "outcome": step.outcome,
        "text": step.text,
        "seconds": seconds,
        "details": details,
    }


def _finding(finding: Finding) -> dict[str, Any]:
    from restante.diagnosis.explanations import explain

    row = explain(finding.id)
    return {
        "id": finding.id,
        "phase": finding.phase,
        "severity": finding.severity,
        "verdict": row.verdict,
        "evidence": finding.evidence,
        "facts": dict(finding.facts),
        "why": row.why,
        "fix": {"admin": row.admin, "you": row.you},
        "commands": list(finding.commands),
    }
