"""From a text to a fault."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from restante.misbehave.catalogue import ROWS
from restante.misbehave.fault import Fault, sum_of
from restante.misbehave.profiles import PROFILES
from restante.misbehave.rules import is_rule, parse_rules
from restante.misbehave.smtp.rules import is_rule as is_rule_of_smtp
from restante.near_names import suggest_names

if TYPE_CHECKING:
    from collections.abc import Mapping

FAULTS: Mapping[str, Fault] = MappingProxyType({fault.name: fault for fault in ROWS})
"""Every fault by its name, in the order of a session."""

NAMED: Mapping[str, Fault] = MappingProxyType({**FAULTS, **PROFILES})
"""The same, and the known servers."""


def find(text: str, seed: int = 0) -> Fault:
    """Return the fault that a text means: names with "+" between them, or a rule, a line each.

    `seed` decides what rules with a chance do. Raises ValueError: a name is unknown, or a rule is
    invalid. The text of the error names near spellings.
    """
    lines = [line.strip() for line in text.splitlines()]
    faults: list[Fault] = []
    for line in lines:
        if not line or line.startswith("#"):
            continue
        if is_rule_of_smtp(line):
            raise ValueError(f"{line!r} is a rule of SMTP; use `pop3 dev --fault`")
        if is_rule(line):
            alteration = parse_rules(line, seed + len(faults))
            faults.append(Fault(name=line, sentence=f"obeys {line!r}", conversation=alteration))
        else:
            faults += _find_named(line)
    if not faults:
        raise ValueError("no fault; `pop3 misbehave list` names all of them")
    return sum_of(faults)


def _find_named(line: str) -> list[Fault]:
    names = [name.strip() for name in line.lower().split("+")]
    for name in names:
        if name.startswith("smtp-"):
            raise ValueError(f"{name} is a fault of SMTP; use `pop3 dev --fault {name}`")
        if name not in NAMED:
            hint = suggest_names(name, NAMED, "`pop3 misbehave list` names all")
            raise ValueError(f"unknown fault {name!r}; {hint}")
    return [NAMED[name] for name in names]
