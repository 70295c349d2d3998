"""Results of work that goes on if they cannot be printed."""

from __future__ import annotations

import errno

import pytest

from restante.cli.output.results import Results


@pytest.fixture(autouse=True)
def _full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("click.echo", fail)


def test_a_full_disk_of_the_output() -> None:
    """The work of the block is done to its end, which raises the error of the output."""
    done = []
    with pytest.raises(OSError, match="No space left"), Results() as results:
        for number in range(2):
            results.echo("a line")
            done.append(number)
    assert done == [0, 1]


def test_an_error_of_the_work() -> None:
    """An error of the work itself is raised rather than one of the output."""
    with pytest.raises(ValueError, match="work"), Results() as results:
        results.echo("a line")
        raise ValueError("work")
