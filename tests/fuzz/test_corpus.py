"""Every input that was ever found worth keeping holds its promise, with no fuzzer about."""

from __future__ import annotations

from pathlib import Path

import pytest

from fuzz.targets import TARGETS, kept

KEPT = [path for name in TARGETS for path in kept(name)]
MOST = 512 * 1024  # octets of all of them: what is kept is to be small


@pytest.mark.parametrize("path", KEPT, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_kept_input_holds_its_targets_promise(path: Path) -> None:
    """Each stored input passes its target."""
    target = TARGETS[path.parent.name]
    with target.limited():
        target.run(path.read_bytes())


def test_every_target_has_inputs_that_are_kept() -> None:
    """Each target has stored inputs, within a total size."""
    assert {path.parent.name for path in KEPT} == set(TARGETS)
    assert sum(path.stat().st_size for path in KEPT) < MOST
