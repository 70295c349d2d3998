"""What a check is, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    from restante.conformance.context import ConformanceContext

Verdict: TypeAlias = Literal["pass", "fail", "skip"]


class Deviation(Exception):  # noqa: N818  # it is what is looked for
    """The server does something else than it must; the text is the evidence."""


class NotTestable(Exception):  # noqa: N818  # it is no error
    """Nothing can be said about it here; the text says why."""


@dataclass(frozen=True, slots=True)
class Check:
    """One check: the requirements it looks at, a sentence, and the function that looks."""

    ids: tuple[str, ...]
    title: str
    look: Callable[[ConformanceContext], None]
    name: str


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a check."""

    check: Check
    verdict: Verdict
    evidence: str
    seconds: float


class CheckGroup:
    """A group of checks, in the order in which they stand."""

    def __init__(self) -> None:
        self.checks: list[Check] = []

    def check(
        self, ids: str, title: str
    ) -> Callable[[Callable[[ConformanceContext], None]], Callable[[ConformanceContext], None]]:
        """Add the function below as a check of these requirements, divided by spaces."""

        def add(look: Callable[[ConformanceContext], None]) -> Callable[[ConformanceContext], None]:
            self.checks.append(Check(tuple(ids.split()), title, look, look.__name__))
            return look

        return add


def require(condition: object, evidence: str) -> None:
    """Raise Deviation where a condition does not hold."""
    if not condition:
        raise Deviation(evidence)
