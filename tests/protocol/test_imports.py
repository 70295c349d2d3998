"""The library loads nothing that must be installed for it."""

from __future__ import annotations

import subprocess
import sys

PRINT_MODULES = "import sys; import restante, {module}; print(*sys.modules)"


def loaded(module: str) -> set[str]:
    command = [sys.executable, "-c", PRINT_MODULES.format(module=module)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return {name.partition(".")[0] for name in said.split()}


def test_only_standard_library() -> None:
    """The protocol loads no module outside the standard library."""
    before = loaded("sys")
    new = loaded("restante.protocol.server.serve") - before - {"restante"}
    assert "dataclasses" in new
    assert new <= sys.stdlib_module_names
