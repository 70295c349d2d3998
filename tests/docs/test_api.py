"""The page of the API has every public name, and each has a docstring that says enough."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

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
    options = re.search(rf":: {path}\n(?:   :(no-)?members:(.*)\n)?", TEXT)
    assert options
    named = [name.strip() for name in (options[2] or "").split(",") if name.strip()]
    shown = [name for name in vars(load(path)) if not name.startswith("_")]
    return [] if options[1] else named or shown


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


def test_the_page_is_not_empty() -> None:
    """The page is read as it is written."""
    assert len(ENTRIES) > 50
    assert len(FUNCTIONS) > 40
