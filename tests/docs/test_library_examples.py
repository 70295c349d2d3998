"""The examples of the library work as they stand, and a strict type checker accepts them."""

from __future__ import annotations

import asyncio
import inspect
import io
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import restante
from restante import blocking
from restante.client import aio
from support.faulty_server import HELLO
from support.live import Live, serving
from support.programs import need

ROOT = Path(__file__).parents[2]
PAGES = (
    "README.md",
    "docs/how-to/client.md",
    "docs/how-to/from-poplib.md",
    "docs/how-to/check.md",
)
FROM_POPLIB = (ROOT / PAGES[2]).read_text()

PRELUDE = """\
from typing import BinaryIO
import restante
from restante import blocking
from restante.client.aio import Maildrop
from restante.protocol.errors import RemoteError
"""


def blocks() -> list[tuple[str, str]]:
    """Return the examples, each with its name; those of docstrings are indented."""
    found = []
    for page in PAGES:
        texts = re.findall(r"(?ms)^```python\n(.*?)^```", (ROOT / page).read_text())
        found += [(f"{page} {n}", text) for n, text in enumerate(texts, 1)]
    for module in (restante, aio, sys.modules["restante.client.blocking"]):
        text = re.search(r"(?:^    .*\n|^\n)+", module.__doc__ or "", re.MULTILINE)
        assert text
        found.append((module.__name__, textwrap.dedent(text[0])))
    return found


def phrases() -> list[str]:
    """Return the expressions in the table of poplib's."""
    cells = [line.split("|")[2] for line in FROM_POPLIB.splitlines() if line.startswith("| `")]
    found = [phrase for cell in cells for phrase in re.findall(r"`([^`]+)`", cell)]
    return [phrase for phrase in found if "drop" in phrase or "connect(" in phrase]


def is_part(text: str) -> bool:
    """Return whether an example stands within a coroutine of its reader's."""
    try:
        compile(text, "example", "exec")
    except SyntaxError:
        return True
    return False


def module_of(text: str) -> str:
    if is_part(text):
        body = textwrap.indent(text, "    ")
        text = f"async def example(drop: Maildrop, file: BinaryIO) -> None:\n{body}"
    return f"{PRELUDE}\n{text}"


def phrase_module(phrase: str) -> str:
    taken = "drop: blocking.Maildrop, n: int, lines: int, password: str"
    return f"{PRELUDE}\ndef example({taken}) -> None:\n    {phrase}\n"


BLOCKS = blocks()
PHRASES = phrases()


@pytest.fixture
def live() -> Iterator[Live]:
    with serving() as live:
        live.add("ann@example.com", "secret", HELLO, HELLO, HELLO)
        yield live


def here(text: str, port: int) -> str:
    """Return an example as it is for the server here."""
    url = f"pop3://ann@example.com@127.0.0.1:{port}"
    text = re.sub(r'"(?:pop3s?://)?(?:ann@example\.com|user@host)"', repr(url), text)
    return text.replace('"..."', '"secret"')


@pytest.mark.parametrize("text", [text for _, text in BLOCKS], ids=[name for name, _ in BLOCKS])
def test_an_example_runs(text: str, live: Live) -> None:
    """Each example of the library runs."""

    async def within(example: Any) -> None:
        async with restante.connect(f"pop3://ann@example.com@127.0.0.1:{live.port}", "secret") as d:
            await example(d, io.BytesIO())

    names: dict[str, Any] = {"__name__": "__main__"}
    source = here(module_of(text), live.port)
    assert "127.0.0.1" in source or is_part(text)
    exec(compile(source, "example", "exec", dont_inherit=True), names)
    if is_part(text) and "127.0.0.1" not in source:
        asyncio.run(within(names["example"]))
    elif is_part(text):
        asyncio.run(names["example"](None, io.BytesIO()))


@pytest.mark.parametrize("phrase", PHRASES)
def test_what_stands_for_a_word_of_poplib_does_something(phrase: str, live: Live) -> None:
    """Each call that the page gives for one of poplib works."""
    said: list[str] = []
    url = f"pop3://ann@example.com@127.0.0.1:{live.port}"
    with blocking.connect(url, "secret", trace=lambda way, line: said.append(way + line)) as drop:
        if "connect" in phrase:
            drop.close()
        del said[:]
        names = {"blocking": blocking, "drop": drop, "n": 1, "lines": 3, "password": "secret"}
        result = eval(here(phrase, live.port), names)
        assert not inspect.isgenerator(result)
        assert result or said
        if isinstance(result, blocking.Maildrop):
            result.close()


def test_the_table_has_what_poplib_has() -> None:
    """The table covers the calls of poplib."""
    assert len(PHRASES) >= 12
    assert any("NOOP" in phrase for phrase in PHRASES)


def test_a_strict_type_checker_takes_every_example(tmp_path: Path) -> None:
    """mypy accepts each example in strict mode."""
    mypy = need(str(Path(sys.executable).with_name("mypy")))
    modules = [module_of(text) for _, text in BLOCKS] + [phrase_module(p) for p in PHRASES]
    for number, module in enumerate(modules):
        (tmp_path / f"example_{number}.py").write_text(module)
    (tmp_path / "mypy.ini").write_text("[mypy]\nstrict = True\n")
    command = [mypy, "--cache-dir", ".cache", *(f"example_{n}.py" for n in range(len(modules)))]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("Success"), done.stdout + done.stderr


LAZY = [
    "restante", "restante.oauth", "restante.server", "restante.storage", "restante.testing",
    "restante.misbehave",
]  # fmt: skip
"""Packages whose names are loaded when they are first used."""


def test_a_type_checker_finds_a_misspelt_name(tmp_path: Path) -> None:
    """mypy rejects a name that a package does not have, though the package has `__getattr__`."""
    mypy = need(str(Path(sys.executable).with_name("mypy")))
    lines = [f"from {package} import Misspelt as m{n}" for n, package in enumerate(LAZY)]
    (tmp_path / "misspelt.py").write_text("\n".join(lines))
    command = [mypy, "--cache-dir", ".cache", "misspelt.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    found = re.findall(r'Module "(.+)" has no attribute "Misspelt"', done.stdout)
    assert found == LAZY, done.stdout + done.stderr


def test_the_package_shows_what_it_has() -> None:
    """`dir(restante)` lists the names of the API."""
    assert {"connect", "check", "blocking", "__version__"} <= set(dir(restante))
    for name in ("connect", "check", "blocking"):
        assert getattr(restante, name)
