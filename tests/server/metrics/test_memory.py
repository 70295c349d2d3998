"""The sums over processes, whatever becomes of one of them."""

from __future__ import annotations

import os

import pytest

from restante.server.metrics.catalogue import OTHER, MetricSpec
from restante.server.metrics.memory import MetricMemory

MAIL = MetricSpec(name="mail", kind="counter", meaning="", labels={"kind": ("new", "old", OTHER)})
OPEN = MetricSpec(name="open", kind="gauge", meaning="")
TIME = MetricSpec(name="time", kind="histogram", meaning="", buckets=(1.0, 5.0))
SUPERVISOR = 2


@pytest.fixture
def memory() -> MetricMemory:
    made = MetricMemory(3, (MAIL, OPEN, TIME))
    made.bind_process(SUPERVISOR)
    return made


def work(memory: MetricMemory, column: int) -> None:
    """Count in a process of its own, which is then killed."""
    pid = os.fork()
    if pid == 0:
        memory.bind_process(column)
        memory.add(MAIL, "new")
        memory.put(OPEN, number=7)
        memory.observe(TIME, 2)
        os.kill(os.getpid(), 9)
    os.waitpid(pid, 0)


def test_killed_processes(memory: MetricMemory) -> None:
    """The counts of killed processes stay in the sums, and their gauges do not."""
    for column in (0, 1, 0):
        work(memory, column)
        assert memory.read(OPEN) == 7
        memory.clear_gauges(column)
    memory.add(MAIL, "new", number=0.5)
    assert memory.read(MAIL, "new") == 3.5
    assert memory.read(OPEN) == 0
    assert memory.read_distribution(TIME) == ([0, 3, 3], 6)


def test_labels(memory: MetricMemory) -> None:
    """A value that the catalogue does not list counts as "other"."""
    memory.add(MAIL, "ann@example.com")
    memory.add(MAIL, "old")
    assert [memory.read(MAIL, label) for label in MAIL.labels["kind"]] == [0, 1, 1]


@pytest.mark.parametrize(
    ("value", "counts"), [(1, [1, 1, 1]), (1.5, [0, 1, 1]), (5, [0, 1, 1]), (9, [0, 0, 1])]
)
def test_buckets(memory: MetricMemory, value: float, counts: list[float]) -> None:
    """A value counts in each bucket whose upper bound it does not exceed."""
    memory.observe(TIME, value)
    assert memory.read_distribution(TIME) == (counts, value)
