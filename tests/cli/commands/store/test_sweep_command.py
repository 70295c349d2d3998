"""`pop3 store sweep`."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from restante.cli.main import main
from support.cluster import Cluster


def test_another_clock(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is swept while the clocks of this machine and of PostgreSQL are an hour apart."""
    (tmp_path / "dsn").write_bytes(cluster.clean_database().reveal())
    (tmp_path / "objects").mkdir()
    file = tmp_path / "cluster.toml"
    file.write_text(
        '[mail]\nformat = "cluster"\n[cluster]\npostgresql_dsn_file = "dsn"\n'
        f'objects = "{tmp_path}/objects"\n'
    )
    command = ["store", "sweep", "-c", str(file)]
    now = time.time() - 3600
    with monkeypatch.context() as patched:
        patched.setattr(time, "time", lambda: now)
        done = CliRunner().invoke(main, command)
    assert done.exit_code == 1
    assert "of PostgreSQL differ by 36" in done.stderr
    assert CliRunner().invoke(main, command).exit_code == 0
