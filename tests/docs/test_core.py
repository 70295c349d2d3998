"""The page of the core has the modules and the numbers of the code."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from restante.protocol.server import needs

ROOT = Path(__file__).parents[2]
PROTOCOL = ROOT / "src" / "restante" / "protocol"
PAGE = " ".join((ROOT / "docs" / "explanation" / "core.md").read_text().split())

LIST_MODULES = """
import importlib, pathlib, sys
import restante.protocol
folder = pathlib.Path(restante.protocol.__file__).parent
for file in (folder / sys.argv[1]).glob("*.py"):
    importlib.import_module(f"restante.protocol.{sys.argv[1]}.{file.stem}")
print(*(f"{name.rpartition('.')[2]}.py" for name in sys.modules if name.count(".") == 2))
"""


def count_lines(*files: Path) -> int:
    return sum(len(file.read_text().splitlines()) for file in files)


def loaded_modules(side: str) -> set[str]:
    """Return the modules directly in `protocol` that one side loads."""
    command = [sys.executable, "-c", LIST_MODULES, side]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return set(loaded.split()) & {file.name for file in PROTOCOL.glob("[a-z]*.py")}


def test_shared_modules() -> None:
    """The page lists the modules that client and server both load, and counts their lines."""
    found = re.search(r"that it shares with the client \((.*?)\) have about (\d+)\.", PAGE)
    assert found is not None
    named = {f"{name}.py" for name in re.findall(r"`(\w+)`", found[1])}
    assert named == loaded_modules("client") & loaded_modules("server")
    assert round(count_lines(*(PROTOCOL / name for name in named)), -2) == int(found[2])


def test_lines_of_the_server() -> None:
    """The page rounds the lines of the server's side to a hundred."""
    found = re.search(r"`protocol/server` has about (\d+) lines", PAGE)
    assert found is not None
    assert round(count_lines(*(PROTOCOL / "server").glob("*.py")), -2) == int(found[1])


def test_lines_of_the_driver_for_tests() -> None:
    """The driver of the tests has fewer lines than the page says."""
    found = re.search(r"`credentials.py`: fewer than (\d+) lines", PAGE)
    assert found is not None
    support = ROOT / "tests" / "support"
    assert count_lines(support / "world.py", support / "credentials.py") < int(found[1])


def test_needs() -> None:
    """The table of the page has each need of a session."""
    named = re.findall(r"\| (?:a reply, and )?`(\w+)\(", PAGE)
    classes = (thing for thing in vars(needs).values() if isinstance(thing, type))
    defined = {each.__name__ for each in classes if issubclass(each, needs.Need)} - {"Need"}
    assert sorted(named) == sorted(defined), "correct the table in docs/explanation/core.md"
