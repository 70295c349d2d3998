"""Prometheus's own checker, unpacked by `make build/promtool`, or installed."""

from __future__ import annotations

from pathlib import Path

from support.programs import need

UNPACKED = Path(__file__).parents[2] / "build" / "promtool" / "usr" / "bin" / "promtool"


def need_promtool() -> str:
    """Return where promtool is; without it the test is skipped, or fails in CI."""
    return str(UNPACKED) if UNPACKED.exists() else need("promtool")
