"""The page of the API has every public name, and each has a docstring that says enough."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import restante

TEXT = (Path(__file__).parents[2] / "docs" / "reference" / "api.md").read_text()
ENTRIES = re.findall(r"^\.\. auto(?:function|class|exception|data)::\s*(\S+)", TEXT, re.MULTILINE)
MODULES = ("restante", "restante.blocking", "restante.testing", "restante.storage",
           "restante.auth", "restante.oauth", "restante.server")  # fmt: skip
MODULE_NAMES = {"restante.__version__", "restante.blocking"}  # no entries of their own
RAISING = {"run", "pieces", "aclosing"}  # calls that carry a dialogue out, or hand its errors on


def load(path: str) -> Any:
    """Return the object with a dotted path."""
    module, name = path.rsplit(".", 1)
    return getattr(importlib.import_module(module), name)


def members(path: str) -> list[str]:
    """Return the members of a class that the page shows."""
    options = re.search(rf":: {path}\n((?:   :.*\n)*)", TEXT)
    assert options
    if named := re.search(":members: (.+)", options[1]):
        return named[1].split(", ")
    return [
        name
        for name in vars(load(path))
        if not name.startswith("_") and ":no-members:" not in options[1]
    ]


def functions() -> Iterator[tuple[str, Any]]:
    """Yield the functions and methods on the page, each with its path."""
    for path in ENTRIES:
        found = load(path)
        if inspect.isclass(found):
            for name in members(path):
                member = inspect.unwrap(getattr(found, name, None))  # type: ignore[arg-type]
                if inspect.isfunction(member) or inspect.ismethod(member):
                    yield f"{path}.{name}", member
        elif callable(found):
            yield path, inspect.unwrap(found)


FUNCTIONS = dict(functions())
CLASSES = [path for path in ENTRIES if inspect.isclass(load(path))]


def raises(function: Any) -> bool:
    """Return whether a function has a raise statement, or sends a command."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    return any(
        (isinstance(node, ast.Raise) and node.exc is not None)
        or (isinstance(node, ast.Attribute) and node.attr in RAISING)
        for node in ast.walk(tree)
    )


@pytest.mark.parametrize("module", MODULES)
def test_public_names(module: str) -> None:
    """Each name in `__all__` of a public module is on the page, and can be imported."""
    names = getattr(importlib.import_module(module), "__all__", ())
    missing = {f"{module}.{name}" for name in names} - set(ENTRIES) - MODULE_NAMES
    assert missing == set()


def test_tab_completion() -> None:
    """Each name in `__all__` of a public module is in its `dir` before it is loaded."""
    program = f"""
import importlib
for name in {MODULES}:
    module = importlib.import_module(name)
    assert set(getattr(module, "__all__", ())) <= set(dir(module)), name
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


@pytest.mark.parametrize("path", ENTRIES)
def test_entries(path: str) -> None:
    """Each entry can be imported and has a docstring of whole sentences."""
    found = load(path)
    if inspect.isclass(found) or callable(found):
        text = inspect.getdoc(found) or ""
        assert re.match(r"[A-Z].*[.]$", text.splitlines()[0] if text else ""), text


@pytest.mark.parametrize("path", FUNCTIONS)
def test_docstrings(path: str) -> None:
    """A docstring names each parameter, and the errors of a function that raises any."""
    function = FUNCTIONS[path]
    text = inspect.getdoc(function) or ""
    assert text, "no docstring"
    assert text.splitlines()[0].endswith(".")
    parameters = set(inspect.signature(function).parameters) - {"self", "cls"}
    assert {name for name in parameters if not re.search(rf"\b{name}\b", text)} == set()
    if raises(function):
        assert "Raise" in text


@pytest.mark.parametrize("path", CLASSES)
def test_attributes(path: str) -> None:
    """Each attribute in a docstring has a line of its own, and the class has it."""
    found = load(path)
    section = re.search(r"\nAttributes:\n((?: +.*\n)+)", f"{inspect.getdoc(found)}\n")
    lines = section[1].splitlines() if section else []
    named = [line[4:].partition(":")[0] for line in lines if line[4] != " "]
    source = "".join(
        inspect.getsource(one) for one in found.__mro__ if one.__module__.startswith("restante")
    )
    set_up = re.findall(r"^ +(?:self\.|def )?(\w+)(?:: .*| = .*|\(self.*)$", source, re.MULTILINE)
    set_up += re.findall(r"\bself\.(\w+),? ", source)
    assert set(named) <= set(set_up)


@pytest.mark.parametrize("path", CLASSES)
def test_types_of_attributes(path: str) -> None:
    """An attribute that is not a parameter as it came has a type, which checkers need not infer."""
    inferred = []
    for found in load(path).__mro__:
        initialise = vars(found).get("__init__")
        if not inspect.isfunction(initialise) or dataclasses.is_dataclass(found):
            continue
        if not initialise.__module__.startswith("restante"):  # that of a Protocol
            continue
        tree = ast.parse(textwrap.dedent(inspect.getsource(initialise)))
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and not isinstance(node.value, ast.Name):
                targets = [ast.unparse(target) for target in node.targets]
                inferred += [one for one in targets if re.search(r"self\.[a-z]", one)]
    assert inferred == []


@pytest.mark.parametrize("path", CLASSES)
def test_properties(path: str) -> None:
    """A property's docstring has no colon in its first line: Sphinx would take it for a type."""
    found = load(path)
    shown = [getattr(found, name, None) for name in members(path)]
    texts = [inspect.getdoc(one) or "" for one in shown if isinstance(one, property)]
    assert [text for text in texts if ": " in text.partition("\n")[0]] == []


def test_tree_of_errors() -> None:
    """All errors that the page lists as a tree can be imported from `restante`."""
    tree = inspect.getdoc(importlib.import_module("restante.protocol.errors")) or ""
    names = re.findall(r"^[ │├└─]*([A-Z][A-Za-z0-9]+)(?:  |$)", tree, re.MULTILINE)
    assert len(names) > 10
    assert set(names) <= set(restante.__all__)


def test_the_page_is_not_empty() -> None:
    """The page is read as it is written."""
    assert len(ENTRIES) > 50
    assert len(FUNCTIONS) > 40
