"""The store on mboxes."""

from __future__ import annotations

from pathlib import Path

import pytest

from restante.storage.interfaces import Store
from restante.storage.mbox import MboxStore
from restante.storage.paths import Layout
from storage.contract import *  # noqa: F403


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return MboxStore(Layout(tmp_path))
