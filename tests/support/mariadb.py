"""A MariaDB that a test starts."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from restante.protocol.secret import Secret
from support.live import wait_until
from support.programs import need


def need_mariadb() -> None:
    """Skip the test if MariaDB is not installed."""
    need("mariadbd")
    need("mariadb-install-db")
    need("mariadb")


class MariaDb:
    """A MariaDB of its own, on a socket in its folder, and on TCP if it has a port."""

    def __init__(self, folder: Path, *options: str) -> None:
        self._folder = folder
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        if os.geteuid() == 0:  # it refuses to run as root
            shutil.chown(folder, "nobody")
        data = f"--datadir={folder / 'data'}"
        how = ["--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"]
        command = self._command("mariadb-install-db", "--no-defaults", data, *how)
        subprocess.run(command, check=True, capture_output=True)

    @property
    def socket(self) -> Path:
        """The file of its socket."""
        return self._folder / "socket"

    @property
    def dsn(self) -> Secret:
        return Secret(f"mysql://restante:hunter2@localhost/mail?socket={self.socket}".encode())

    def start(self) -> None:
        command = self._command(
            "mariadbd",
            "--no-defaults",
            f"--datadir={self._folder / 'data'}",
            f"--socket={self.socket}",
            f"--pid-file={self._folder / 'pid'}",
            "--innodb-buffer-pool-size=8M",
            "--innodb-flush-log-at-trx-commit=0",
            *(self._options or ["--skip-networking"]),
        )
        silent = subprocess.DEVNULL
        self._process = subprocess.Popen(command, stdout=silent, stderr=silent)
        wait_until(lambda: self._mariadb("SELECT 1").returncode == 0)

    def stop(self) -> None:
        assert self._process
        self._process.kill()
        self._process.wait(30)

    def execute(self, sql: str) -> str:
        """Run statements, and return what they print."""
        done = self._mariadb(sql)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    def _mariadb(self, sql: str) -> subprocess.CompletedProcess[bytes]:
        command = ["mariadb", "--no-defaults", "--skip-ssl", f"--socket={self.socket}"]
        command += ["-NB", "-u", "root"]
        return subprocess.run(command, input=sql.encode(), capture_output=True, check=False)

    def _command(self, *command: str) -> list[str]:
        if os.geteuid() != 0:
            return list(command)
        return [need("setpriv"), "--reuid=nobody", "--clear-groups", *command]
