"""The toolbox uses the client by its public methods."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "restante"
INSIDES = {"peer", "io", "_io", "_driver", "broken", "unread", "secrets"}


@pytest.mark.parametrize("package", ["diagnosis", "conformance", "cli"])
def test_insides_of_the_client(package: str) -> None:
    """No module reads an inner attribute of the client, such as `session.peer`."""
    modules = sorted((SOURCE / package).rglob("*.py"))
    assert len(modules) > 10
    found = [
        f"{module.relative_to(SOURCE)}:{node.lineno}: {node.attr}"
        for module in modules
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in INSIDES
    ]
    assert found == []
