"""A disk with a slow clock."""

from __future__ import annotations

import os
from typing import Any

import pytest

TICK = 1_800_000_000


@pytest.fixture
def one_tick(monkeypatch: pytest.MonkeyPatch) -> float:
    """Give all files one time, as a disk of whole seconds does, and return it since 1970."""
    real = os.stat

    def stat(*args: Any, **options: Any) -> os.stat_result:
        fields = list(real(*args, **options))
        times = dict.fromkeys(("st_mtime", "st_ctime"), float(TICK))
        times |= dict.fromkeys(("st_mtime_ns", "st_ctime_ns"), TICK * 10**9)
        return os.stat_result(fields, times)

    monkeypatch.setattr(os, "stat", stat)
    return TICK + 0.5
