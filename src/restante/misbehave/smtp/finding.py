"""From a text to a fault of SMTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.misbehave.smtp.catalogue import SMTP_FAULTS
from restante.misbehave.smtp.fault import SmtpFault, sum_of
from restante.misbehave.smtp.rules import is_rule, parse_rules
from restante.near_names import suggest_names

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX = "smtp-"


def is_smtp(text: str) -> bool:
    """Return whether a text means faults of SMTP: names that begin with "smtp-", or a rule."""
    return text.strip().lower().startswith(PREFIX) or is_rule(text.strip())


def find_smtp(text: str) -> SmtpFault:
    """Return the fault that a text means: names with "+" between them, or one rule.

    Raises ValueError: a name is unknown, or a rule is invalid.
    """
    line = text.strip()
    if is_rule(line):
        return SmtpFault(name=line, sentence=f"obeys {line!r}", conversation=parse_rules(line))
    return sum_of(list(_find_named(line)))


def _find_named(line: str) -> Iterator[SmtpFault]:
    for name in (each.strip() for each in line.lower().split("+")):
        if name not in SMTP_FAULTS:
            hint = suggest_names(name, SMTP_FAULTS, "`pop3 misbehave list 'smtp-*'` names all")
            raise ValueError(f"unknown fault of SMTP {name!r}; {hint}")
        yield SMTP_FAULTS[name]
