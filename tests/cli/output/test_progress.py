"""Bars of progress on a terminal."""

from __future__ import annotations

import io

import pytest

from restante.cli.output import progress
from restante.cli.output.progress import Progress, SharedProgress


class Terminal(io.StringIO):
    """What a terminal gets."""

    def isatty(self) -> bool:
        return True

    @property
    def lines(self) -> list[str]:
        """The texts between two moves to the line's start, and nothing that clears a line."""
        parts = self.getvalue().replace("\x1b[?25l", "").replace("\x1b[?25h", "").split("\r")
        return [part.replace("\x1b[K", "").rstrip() for part in parts]


def use(file: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use a file as standard error, on which bars appear at once."""
    monkeypatch.setattr("sys.stderr", file)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(progress, "PATIENCE", 0.0)


def test_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bar is gone at its end, and the cursor is there again."""
    use(terminal := Terminal(), monkeypatch)
    with Progress("fetching") as bar:
        bar.update(1, 4)
        assert "25%" in terminal.lines[-1]
        bar.update(4, 8)
        assert "50%" in terminal.lines[-1]
    assert terminal.getvalue().endswith("\r\x1b[K\x1b[?25h")


def test_dumb_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal that cannot clear a line gets no bar."""
    use(terminal := Terminal(), monkeypatch)
    monkeypatch.setenv("TERM", "dumb")
    with Progress("fetching") as bar:
        bar.update(1, 4)
    assert terminal.getvalue() == ""


def test_one_bar_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Works at once share a bar of their sum, which has the name of one that is left alone."""
    use(terminal := Terminal(), monkeypatch)
    shared = SharedProgress()
    with shared.part("first") as first:
        with shared.part("second") as second:
            first(50, 100)
            second(0, 300)
            assert terminal.lines[-1].startswith("2 accounts")
            second(250, 300)
            assert "75%" in terminal.lines[-1]
            with shared.hidden():
                assert terminal.getvalue().endswith("\r\x1b[K")
        first(100, 100)
        assert terminal.lines[-1].startswith("first ")
    assert terminal.lines[-1] == ""
    with shared.part("a name that is much too long to be the label of a bar") as third:
        third(10, 100)
        assert "10%" in terminal.lines[-1]
        assert "long to be the …" in terminal.lines[-1]


def test_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file gets nothing of a bar."""
    use(file := io.StringIO(), monkeypatch)
    shared = SharedProgress()
    with shared.part("work") as update:
        update(1, 2)
        with shared.hidden():
            pass
    assert file.getvalue() == ""
