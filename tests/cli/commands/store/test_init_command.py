"""`pop3 store init`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from restante.cli.main import main
from restante.protocol.secret import Secret
from restante.storage.cluster import schema
from support.cluster import Cluster, execute
from support.command import pop3

VERSION = schema.newest_version()


@pytest.fixture
def empty(cluster: Cluster) -> Iterator[Secret]:
    made = cluster.new_database(empty=True)
    yield made
    cluster.drop(made)


def written(folder: Path, dsn: bytes) -> Path:
    (folder / "dsn").write_bytes(dsn)
    (folder / "users").write_text("")
    file = folder / "cluster.toml"
    file.write_text(
        '[mail]\nformat = "cluster"\n[cluster]\npostgresql_dsn_file = "dsn"\n'
        '[accounts]\nusers = "users"\n'
    )
    return file


def test_init(empty: Secret, tmp_path: Path) -> None:
    """The command creates the tables, and a second call has nothing to do."""
    file = written(tmp_path, empty.reveal())
    first = pop3("store", "init", "-c", str(file))
    assert (first.code, first.out) == (
        0,
        f"The database has the tables of version {VERSION} now.\n",
    )
    again = pop3("store", "init", "-c", str(file))
    assert again.out == f"The database already has the tables of version {VERSION}.\n"
    rows = asyncio.run(execute(empty, "select count(*) from box"))
    assert rows[0][0] == 0


def test_init_that_waits(empty: Secret, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command says once that it waits for another transaction."""
    initialize = schema.initialize

    async def initialize_late(
        dsn: Secret, *, pooler: bool, on_wait: Callable[[], object]
    ) -> list[str]:
        on_wait()
        on_wait()
        return await initialize(dsn, pooler=pooler)

    monkeypatch.setattr(schema, "initialize", initialize_late)
    file = written(tmp_path, empty.reveal())
    done = CliRunner().invoke(main, ["store", "init", "-c", str(file)])
    assert done.exit_code == 0
    assert done.stderr.count("Waiting for another transaction, such as a backup") == 1


@pytest.mark.parametrize(
    ("command", "code", "beginning"),
    [
        (("deliver", "ann"), 75, "4.3.0 PostgreSQL has no"),
        (("expire",), 1, "Error: PostgreSQL has"),
    ],
)
def test_other_commands_before_init(
    empty: Secret, tmp_path: Path, command: tuple[str, ...], code: int, beginning: str
) -> None:
    """A command that finds no tables, or those of another version, says how to get them."""
    done = pop3(*command, "-c", str(written(tmp_path, empty.reveal())), stdin=b"Subject: a\n\n")
    assert (done.code, done.out) == (code, "")
    assert beginning in done.err
    assert done.err.endswith("run `pop3 store init`\n")


def test_a_database_that_is_down(tmp_path: Path) -> None:
    """The error says what failed, and shows no password."""
    file = written(tmp_path, b"postgresql://ann:hunter2@127.0.0.1:1/mail")
    done = pop3("store", "init", "-c", str(file))
    assert done.code == 1
    assert "the tables cannot be created: PostgreSQL" in done.err
    assert "hunter2" not in done.err


def test_one_of_several_that_is_down(empty: Secret, tmp_path: Path) -> None:
    """A database that fails keeps no other one from its tables; the command names it, and fails."""
    file = written(tmp_path, b"postgresql://ann:hunter2@127.0.0.1:1/mail")
    (tmp_path / "second").write_bytes(empty.reveal())
    shard = '[cluster.shards.second]\npostgresql_dsn_file = "second"\n[accounts]'
    file.write_text(file.read_text().replace("[accounts]", shard))
    done = pop3("store", "init", "-c", str(file))
    assert (done.code, done.out) == (
        1,
        f"The database second has the tables of version {VERSION} now.\n",
    )
    assert "Error: database first: the tables cannot be created: PostgreSQL" in done.err
    assert "Warning: database second: PostgreSQL has no" in done.err


def test_a_bucket_without_tls(empty: Secret, tmp_path: Path) -> None:
    """A mistake in the object store is reported before the tables are created."""
    file = written(tmp_path, empty.reveal())
    (tmp_path / "bucket").write_text('endpoint = "http://s3.example.org"\n')
    more = 'objects = "s3://mail"\nobjects_secret_file = "bucket"\n'
    file.write_text(file.read_text().replace("[accounts]", f"{more}[accounts]"))
    done = pop3("store", "init", "-c", str(file))
    assert (done.code, done.out) == (2, "")
    assert "cluster.objects: endpoint: mail would cross the network without TLS" in done.err
    tables = "select count(*) from information_schema.tables where table_name = 'box'"
    assert asyncio.run(execute(empty, tables))[0][0] == 0


def test_a_configuration_of_maildirs(tmp_path: Path) -> None:
    """A configuration without a cluster is a usage error."""
    file = tmp_path / "maildir.toml"
    file.write_text('[mail]\nfolder = "."\n[accounts]\nusers = "users"\n')
    done = pop3("store", "init", "-c", str(file))
    assert done.code == 2
    assert 'mail.format is "maildir"; set it to "cluster"' in done.err
