"""A conformance check, its result, and its outcomes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    from restante.conformance.context import ConformanceContext

CheckFunction: TypeAlias = "Callable[[ConformanceContext], None]"
Verdict: TypeAlias = Literal["pass", "fail", "skip"]


class Deviation(Exception):  # noqa: N818  # the result of a check
    """The server deviates from a requirement; the text is the evidence."""


class LoginRejectedError(Deviation):
    """The server rejects the login of the user."""


class NoReplyError(Deviation):
    """The server sends nothing, or closes the connection."""


class NotTestable(Exception):  # noqa: N818  # not an error
    """The check cannot run here; the text says why."""


@dataclass(frozen=True, slots=True)
class Check:
    """One check: the ids of its requirements, a sentence, the function that runs it, its name.

    The first id names the section of an RFC.
    """

    ids: tuple[str, ...]
    title: str
    run: CheckFunction
    name: str

    @property
    def source(self) -> str:
        """The section of the RFC, such as "RFC 1939 section 3"."""
        rfc, _, section = self.ids[0].partition("/")[0].partition("-s")
        return f"RFC {rfc.removeprefix('rfc')} section {section}"


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a check."""

    check: Check
    verdict: Verdict
    evidence: str
    seconds: float


class CheckGroup:
    """A group of checks, in their order in the module."""

    def __init__(self) -> None:
        self.checks: list[Check] = []

    def check(self, ids: str, title: str) -> Callable[[CheckFunction], CheckFunction]:
        """Add the decorated function as a check of these requirements, separated by spaces."""

        def add(function: CheckFunction) -> CheckFunction:
            self.checks.append(Check(tuple(ids.split()), title, function, function.__name__))
            return function

        return add


def require(condition: object, evidence: str) -> None:
    """Raise Deviation if a condition is false."""
    if not condition:
        raise Deviation(evidence)
