"""`contrib/systemd/check-before-restart`, with a stand-in for systemd."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from support.programs import need

CHECK = Path(__file__).parents[2] / "contrib/systemd/check-before-restart"

SYSTEMCTL = """#!/bin/sh
case "$*" in
"list-jobs --no-legend restante.service") cat jobs ;;
*"--property ActiveState "*) cat state ;;
*"--property MainPID "*) cat pid ;;
*"--property User "*) cat user ;;
*"--property Group "*) cat group ;;
*"--property SupplementaryGroups "*) cat groups ;;
"cancel "*) echo "$2" >cancelled ;;
esac
"""


class Systemd:
    """A restart of a server, whose process is that of the test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "systemctl").write_text(SYSTEMCTL)
        (folder / "systemctl").chmod(0o755)
        self.write("pid", str(os.getpid()))
        self.write("state", "active")
        for name in ("user", "group", "groups"):
            self.write(name, "")
        self.write("jobs", "8 restante.service restart waiting")

    def write(self, name: str, line: str) -> None:
        (self.folder / name).write_text(f"{line}\n" if line else "")

    def read(self, name: str) -> str | None:
        file = self.folder / name
        return file.read_text().strip() if file.exists() else None

    def check(self, command: str) -> str:
        """Run the check with a command, and return what the administrator reads."""
        path = f"{self.folder}:{os.environ['PATH']}"
        done = subprocess.run(
            ["sh", CHECK, "sh", "-c", command],
            cwd=self.folder,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stderr


@pytest.fixture
def systemd(tmp_path: Path) -> Systemd:
    if os.geteuid() != 0:
        pytest.skip("systemd runs the check as root, which alone may set groups")
    need("setpriv")
    need("bash")
    return Systemd(tmp_path)


def test_a_mistake_cancels_the_restart(systemd: Systemd) -> None:
    """The job of the restart is cancelled, and the log says what to do."""
    said = systemd.check("echo the mistake >&2; exit 2")
    assert systemd.read("cancelled") == "8"
    assert said.splitlines()[0] == "the mistake"
    assert "Correct the mistakes above" in said


@pytest.mark.parametrize("user", ["restante-typo", "4123456"])
def test_a_user_that_is_missing_cancels_the_restart(systemd: Systemd, user: str) -> None:
    """Systemd starts no server with a user, or a number of one, that the machine does not have."""
    systemd.write("user", user)
    assert user in systemd.check("exit 0")
    assert systemd.read("cancelled") == "8"


def test_a_good_configuration_cancels_nothing(systemd: Systemd) -> None:
    """The restart goes on."""
    assert systemd.check("exit 0") == ""
    assert systemd.read("cancelled") is None


@pytest.mark.parametrize(
    ("jobs", "state"),
    [
        ("", "active"),
        ("8 restante.service stop waiting", "deactivating"),
        ("8 restante.service restart waiting", "activating"),
        ("8 restante.service restart waiting", "failed"),
    ],
    ids=["no job", "stop", "restart after a crash", "restart of a failed one"],
)
def test_only_the_restart_of_a_running_server_is_checked(
    systemd: Systemd, jobs: str, state: str
) -> None:
    """A stop, and the start after a crash, run no check."""
    systemd.write("jobs", jobs)
    systemd.write("state", state)
    assert systemd.check("touch checked; exit 2") == ""
    assert (systemd.read("checked"), systemd.read("cancelled")) == (None, None)


def test_the_check_runs_as_the_next_server(systemd: Systemd) -> None:
    """The command gets the ids and groups of the unit, and the environment of the server."""
    environment = {"PATH": os.environ["PATH"], "SECRET_OF_THE_SERVER": "a b\nc"}
    systemd.folder.chmod(0o755)
    systemd.write("user", "nobody")
    systemd.write("group", "daemon")
    systemd.write("groups", "adm 4243")
    with subprocess.Popen(["sleep", "60"], env=environment) as server:
        try:
            systemd.write("pid", str(server.pid))
            said = systemd.check('echo "$SECRET_OF_THE_SERVER"; id -un; id -gn; id -Gn; exit 2')
        finally:
            server.kill()
    assert said.splitlines()[:4] == ["a b", "c", "nobody", "daemon"]
    assert {"daemon", "adm", "4243"} <= set(said.splitlines()[4].split())
