"""What `make dist` packs."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from support.programs import need

ROOT = Path(__file__).parents[2]


def test_source_distribution_is_whole() -> None:
    """MANIFEST.in names every file and folder of the repository but .gitignore."""
    git = need("git")
    if not (ROOT / ".git").exists():
        pytest.skip("this is not a clone")
    done = subprocess.run(
        [git, "ls-tree", "--name-only", "HEAD"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    words = (ROOT / "MANIFEST.in").read_text().split()
    left_out = [name for name in done.stdout.split() if not any(map(Path(name).match, words))]
    assert set(left_out) <= {".gitignore", "pyproject.toml"}  # setuptools adds the second itself


def test_server_extra_is_whole() -> None:
    """`restante[server]` has every extra but those for programs that read or test mail."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    (whole,) = extras["server"]
    inner = set(re.findall(r"[\w-]+", whole)) - {"restante"}
    assert set(extras) - inner == {"server", "keyring", "web", "test", "fuzz", "check", "docs"}
