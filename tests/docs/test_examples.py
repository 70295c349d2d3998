"""The programs in docs/examples run, and pages show them as they are."""

from __future__ import annotations

import poplib
import subprocess
import sys
from pathlib import Path

import pytest

from examples.test_fetching import *  # noqa: F403
from support.live import PATIENCE
from support.process import free_port, wait_for_port

DOCS = Path(__file__).parents[2] / "docs"
SHOWN = {"embedded.py": "embed", "eml_store.py": "embed", "test_fetching.py": "test-against"}


def test_each_example_is_on_a_page() -> None:
    assert {file.name for file in (DOCS / "examples").glob("*.py")} == set(SHOWN)


@pytest.mark.parametrize(("name", "page"), SHOWN.items(), ids=str)
def test_a_page_shows_an_example_as_it_is(name: str, page: str) -> None:
    text = (DOCS / "how-to" / f"{page}.md").read_text()
    assert f"```python\n{(DOCS / 'examples' / name).read_text()}```\n" in text


def test_the_embedded_server_serves(tmp_path: Path) -> None:
    port = free_port()
    program = (DOCS / "examples/embedded.py").read_text().replace("1110", str(port))
    (tmp_path / "embedded.py").write_text(program)
    command: list[str | Path] = [sys.executable, tmp_path / "embedded.py"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            wait_for_port(port, process)
            client = poplib.POP3("127.0.0.1", port, timeout=PATIENCE)
            client.user("ann")
            with pytest.raises(poplib.error_proto, match="AUTH"):
                client.pass_("wrong")
            client.user("ann")
            client.pass_("secret")
            assert client.retr(1)[1] == [b"Subject: hello", b"", b"from a program"]
            client.quit()
        finally:
            process.kill()
