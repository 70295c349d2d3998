"""A PostgreSQL that a test or a benchmark starts."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from restante.auth.sql.accounts import SqlAuthenticator
from restante.auth.sql.postgresql_query import PostgresqlQueries
from restante.protocol.secret import Secret
from support.live import wait_until
from support.programs import need


def need_postgresql() -> None:
    """Skip the test if PostgreSQL is not installed."""
    if not list(Path("/usr/lib/postgresql").glob("*/bin")):
        need("postgres")


def accounts_in(
    dsn: Secret,
    query: str,
    check: str | None = None,
    remember: float = 0,
    *,
    pooler: bool = False,
    **options: Any,
) -> SqlAuthenticator:
    """Return the accounts that a query finds in a database."""
    queries = PostgresqlQueries(dsn, query, pooler=pooler)
    return SqlAuthenticator(queries, check, remember, **options)


MAX_CONNECTIONS = 400  # several clusters of three nodes share one, with those of killed nodes


class Database:
    """A PostgreSQL of its own, on a socket in its folder."""

    def __init__(self, folder: Path) -> None:
        newest = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1:]
        self._path = os.pathsep.join([*map(str, newest), os.environ["PATH"]])
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.host = ""  # an address on which it listens, too
        if os.geteuid() == 0:  # it refuses to run as root
            shutil.chown(folder, "nobody")
        self.run("initdb", "--auth=trust", "--username=restante", "--no-sync", str(folder / "data"))
        with (folder / "data" / "postgresql.conf").open("a") as settings:  # a standby copies it
            settings.write(f"max_connections = {MAX_CONNECTIONS}\n")

    @property
    def dsn(self) -> Secret:
        return Secret(f"postgresql://restante:hunter2@/postgres?host={self._folder}".encode())

    @property
    def socket(self) -> str:
        """The file of its socket."""
        return str(self._folder / ".s.PGSQL.5432")

    def run(self, *command: str) -> None:
        subprocess.run(
            self._command(*command), check=True, capture_output=True, env={"PATH": self._path}
        )

    def start(self) -> None:
        command = self._command("postgres", "-D", str(self._folder / "data"), "-F")
        command += ["-h", self.host, "-k", str(self._folder)]
        self._process = subprocess.Popen(
            command, stderr=subprocess.DEVNULL, env={"PATH": self._path}
        )
        wait_until(lambda: not self._sql("SELECT 1"))

    @contextlib.contextmanager
    def standby(self, folder: Path, name: str) -> Iterator[None]:
        """Run a standby of it in another folder while the block runs."""
        if os.geteuid() == 0:
            shutil.chown(folder, "nobody")
        data, primary = str(folder / "data"), f"host={self._folder} user=restante"
        options = ["--write-recovery-conf", "--checkpoint=fast", "--no-sync"]
        primary += f" application_name={name}"
        self.run("pg_basebackup", "--dbname", primary, "--pgdata", data, *options)
        command = self._command("postgres", "-D", data, "-F", "-h", "", "-k", str(folder))
        silent = subprocess.DEVNULL
        with subprocess.Popen(command, stderr=silent, env={"PATH": self._path}) as process:
            try:
                yield
            finally:
                process.send_signal(signal.SIGINT)

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process
        return self._process.pid

    def stop(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGINT)  # ends it without waiting for its clients
        self._process.wait(30)

    def execute(self, sql: str) -> None:
        assert self._sql(sql) == 0

    def query(self, sql: str, database: str = "postgres") -> list[list[str]]:
        """Return the rows of a query; columns are text."""
        done = self._psql(sql, database)
        assert done.returncode == 0, done.stderr.decode()
        return [row.split("|") for row in done.stdout.decode().splitlines()]

    def _sql(self, sql: str) -> int:
        return self._psql(sql, "postgres").returncode

    def _psql(self, sql: str, database: str) -> subprocess.CompletedProcess[bytes]:
        command = ["psql", "-qAth", str(self._folder), "-U", "restante", database]
        return subprocess.run(
            [*command, "-v", "ON_ERROR_STOP=1"], input=sql.encode(), capture_output=True,
            env={"PATH": self._path}, check=False,
        )  # fmt: skip

    def _command(self, *command: str) -> list[str]:
        if os.geteuid() != 0:
            return list(command)
        return [need("setpriv"), "--reuid=nobody", "--clear-groups", *command]
