"""The catalogue as data: every row is complete, and says what it is about."""

from __future__ import annotations

import re

import pytest

from restante.diagnosis.explanations import EXPLANATIONS
from restante.misbehave import FAULTS, Fault, find
from restante.misbehave.catalogue import ROWS
from restante.misbehave.profiles import PROFILES


def test_names_are_unique() -> None:
    """No two rows have one name."""
    names = [row.name for row in ROWS]
    assert sorted({name for name in names if names.count(name) > 1}) == []


@pytest.mark.parametrize("fault", ROWS, ids=lambda fault: fault.name)
def test_a_row(fault: Fault) -> None:
    """A name is lower case, a sentence is the end of one, and verdicts are known."""
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", fault.name)
    assert fault.sentence
    assert not fault.sentence.endswith(".")
    assert str(fault.good_client)
    assert set(fault.verdict) <= set(EXPLANATIONS)


def test_names_differ_from_profiles() -> None:
    """A known server has no name of a fault, and `find` finds it."""
    assert set(PROFILES).isdisjoint(FAULTS)
    assert all(find(name).name == name for name in PROFILES)
