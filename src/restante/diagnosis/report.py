"""What a check found, as data: the screen, `--json`, `monitor` and the library show the same."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from restante.diagnosis.explanations import EXPLANATIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA = "restante.check/1"

Outcome: TypeAlias = Literal["ok", "warning", "failure", "not tried"]


@dataclass(slots=True)
class Step:
    """One phase of a check."""

    phase: str  # discover, connect, tls, greeting, capa, login, mailbox, messages, quit
    outcome: Outcome
    text: str  # what was seen, in a line
    seconds: float | None = None
    details: list[tuple[str, str]] = field(default_factory=list)  # more lines: a label, a text


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong."""

    id: str
    phase: str
    severity: Literal["warning", "failure"]
    evidence: str
    facts: Mapping[str, Any] = field(default_factory=dict)  # the same for programs
    commands: tuple[str, ...] = ()  # what to type next


@dataclass(slots=True)
class Report:
    """All that a check saw."""

    account: str
    steps: list[Step] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    trace: list[tuple[str, str]] = field(default_factory=list)  # "<" or ">", and a line
    seconds: float = 0.0
    changed: bool = False  # whether anything was
    logged_in: bool = False

    @property
    def failure(self) -> Finding | None:
        """What ended the check, None where nothing did."""
        return next((f for f in self.findings if f.severity == "failure"), None)

    @property
    def warnings(self) -> list[Finding]:
        """What is wrong and does not hinder."""
        return [f for f in self.findings if f.severity == "warning"]

    @property
    def ok(self) -> bool:
        """Whether the account works, warnings or not."""
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
            return EXPLANATIONS[self.failure.id].exit
        return 1 if self.warnings else 0

    def as_json(self) -> dict[str, Any]:
        """Return the report for json.dumps, by the schema restante.check/1."""
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
            "trace": [f"{way} {line}" for way, line in self.trace],
        }


def _step(step: Step) -> dict[str, Any]:
    seconds = None if step.seconds is None else round(step.seconds, 4)
    details = {label.strip(": "): text for label, text in step.details}
    return {
        "phase": step.phase,
        "outcome": step.outcome,
        "text": step.text,
        "seconds": seconds,
        "details": details,
    }


def _finding(finding: Finding) -> dict[str, Any]:
    row = EXPLANATIONS[finding.id]
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
