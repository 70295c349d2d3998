"""The shim, compiled once."""

from __future__ import annotations

from pathlib import Path

import pytest

from faults.shim import compiled
from support.programs import need


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need("gcc")
    return compiled(tmp_path_factory.mktemp("shim"))
