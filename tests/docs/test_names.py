"""Names in the source follow the glossary's rules."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src" / "restante"
TESTS = Path(__file__).parents[1]
TWINS = {"client/aio.py", "client/blocking.py"}  # the two faces have the same classes
PARTICIPLE = re.compile(
    r"(\w+ed|begun|chosen|cut|drawn|found|given|gone|held|hung|kept|known|left|made|meant|said"
    r"|seen|sent|shown|split|taken|told|written)"
)
VERBS = {"cut", "embed", "feed", "need", "split"}  # they look like participles
PREPOSITION = re.compile(r"as|at|by|for|from|in|of|of_\w+|to|with")


def trees() -> Iterator[tuple[str, ast.Module]]:
    """Yield each module's path below restante, and its syntax tree."""
    for file in sorted(SOURCE.rglob("*.py")):
        yield str(file.relative_to(SOURCE)), ast.parse(file.read_text())


def is_property(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any("property" in ast.unparse(each) for each in function.decorator_list)


def is_misnamed(name: str) -> bool:
    if PREPOSITION.fullmatch(name):
        return True
    return "_" not in name and name not in VERBS and PARTICIPLE.fullmatch(name) is not None


def test_class_names() -> None:
    """No two modules define a class of the same name, except for the twins of the two faces."""
    places: dict[str, set[str]] = defaultdict(set)
    for module, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                places[node.name].add(module)
    assert len(places) > 300
    twice = {name: found for name, found in places.items() if len(found) > 1 and found != TWINS}
    assert twice == {}


def test_function_names() -> None:
    """A function is named by a verb or by the noun that it returns.

    A past participle, or a preposition such as "of", is not such a name.
    """
    found = [
        f"{module}:{node.lineno}: {node.name}"
        for module, tree in trees()
        if not module.startswith("conformance/checks/")  # the names of checks are public
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and is_misnamed(node.name.strip("_"))
        and not is_property(node)
    ]
    assert found == []


def test_docstrings() -> None:
    """A docstring, also of a constant or a property, begins with its thing, not with "What"."""
    found = [
        f"{module}:{node.lineno}"
        for module, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and str(node.value.value).startswith("What ")
    ]
    assert found == []


def test_glossary_names() -> None:
    """Each name that the glossary gives for the code is a name in the source."""
    page = (SOURCE.parents[1] / "docs" / "explanation" / "glossary.md").read_text()
    cells = [line.split("|")[-2] for line in page.splitlines() if line.count("|") == 5]
    names = {name for cell in cells for name in re.findall(r"`([\w.]+)`", cell)}
    source = "".join(file.read_text() for file in SOURCE.rglob("*.py"))
    known = set(re.findall(r"\w+", source)) | {file.stem for file in SOURCE.rglob("*")}
    assert len(names) > 50
    assert {name for name in names if not known.issuperset(name.split("."))} == set()


def test_test_names() -> None:
    """The name of a test has at most 60 characters; its docstring says the rest."""
    files = [*TESTS.rglob("test_*.py"), TESTS / "storage" / "contract.py"]
    names = {
        f"{file.relative_to(TESTS)}: {name}"
        for file in files
        for name in re.findall(r"def (test_\w+)", file.read_text())
        if len(name) > 60
    }
    assert len(files) > 100
    assert names == set()


def test_test_docstrings() -> None:
    """Each test has a docstring, which says what holds."""
    files = [*TESTS.rglob("test_*.py"), TESTS / "storage" / "contract.py"]
    bare = [
        f"{file.relative_to(TESTS)}: {node.name}"
        for file in files
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not ast.get_docstring(node)
    ]
    assert bare == []
