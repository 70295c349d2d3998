"""A run of pytest within a test."""

from __future__ import annotations

from pathlib import Path

import pytest


class NestedRun:
    """Runs tests within this process, which costs less than another one.

    pytester would do so, too, but it forgets all modules that a run has imported: the tests behind
    it would get other classes of the same names.
    """

    def __init__(
        self, folder: Path, capsys: pytest.CaptureFixture[str], beginning: str = ""
    ) -> None:
        self.folder = folder
        self._capsys = capsys
        self._beginning = beginning  # of each file of tests

    def __call__(self, tests: str, *options: str) -> str:
        """Run tests, and return what pytest printed."""
        file = self.folder / f"test_{self.folder.name}.py"
        file.write_text(self._beginning + tests)
        settings = self.folder / "pytest.ini"
        settings.write_text("[pytest]\naddopts = --strict-markers --import-mode=importlib -s")
        plugins = ["restante.pytest_plugin", "no:cacheprovider", "no:faulthandler"]
        named = [word for name in plugins for word in ("-p", name)]
        pytest.main([*named, "-c", str(settings), "--color=no", *options, str(file)])
        printed = self._capsys.readouterr()
        return printed.out + printed.err


def outcomes(printed: str) -> dict[str, int]:
    found = pytest.RunResult.parse_summary_nouns(printed.splitlines())
    return {name: number for name, number in found.items() if not name.startswith("warning")}
