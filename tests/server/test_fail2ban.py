"""The filter in contrib/ finds failed logins, and nothing else, in a log of the real server.

In a file and in systemd's journal; and the jail of docs/how-to/logins.md lets fail2ban start.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from support.live import serving
from support.passwords import Passwords
from support.programs import need

ROOT = Path(__file__).parents[2]
FILTER = ROOT / "contrib/fail2ban/restante.conf"
PAGE = ROOT / "docs/how-to/logins.md"
JOURNAL_JAIL, FILE_JAIL = re.findall(r"```ini\n(\[restante\]\n.*?)```", PAGE.read_text(), re.DOTALL)
DEBIAN = Path("/etc/fail2ban")
WRITER = "/lib/systemd/systemd-journal-remote"


@pytest.fixture(scope="module")
def log() -> str:
    """The log of three failed logins, one of a joker, and two that succeeded."""
    accounts = Passwords()
    with serving(authenticator=accounts) as live:
        accounts.known = live.passwords.known
        accounts.tls_required = {"strict"}
        live.add("ann", "secret")
        live.add("strict", "secret")
        with live.connect() as client:
            client.read_line()
            strange = 'x address=192.0.2.1 user=y method=z reason="no TLS"'
            for name in ("ann", "nobody", strange):
                client.say(f"USER {name}")
                assert client.say("PASS wrong").startswith(b"-ERR [AUTH]")
            client.say("USER strict")  # is right, but for TLS
            assert client.say("PASS secret").startswith(b"-ERR [AUTH]")
        with live.connect() as client:
            client.log_in("ann", "secret")
            client.say("QUIT")
        live.wait_for_log("end=quit", "end=disconnected")
        lines = live.log.getvalue()
    assert lines.count('reason="no TLS" session=') == 1
    return lines


def journal(folder: Path, lines: list[str], unit: str) -> Path:
    """Write a journal with what a unit said, as systemd keeps it."""
    export, file = folder / f"{unit}.export", folder / f"{unit}.journal"
    boot = "0123456789abcdef" * 2
    export.write_text(
        "".join(
            f"__REALTIME_TIMESTAMP={1_790_000_000_000_000 + place}\n_BOOT_ID={boot}\n"
            f"_MACHINE_ID={boot}\n_HOSTNAME=mail\nSYSLOG_IDENTIFIER=pop3\n_PID=12\nPRIORITY=6\n"
            f"_SYSTEMD_UNIT={unit}\nMESSAGE={line}\n\n"
            for place, line in enumerate(lines)
        )
    )
    command = [need(WRITER), f"--output={file}", str(export)]
    subprocess.run(command, check=True, capture_output=True)
    return file


def found(log: str | Path) -> str:
    """Return what fail2ban says when it reads a log with the filter."""
    command = [need("fail2ban-regex"), "--print-all-matched", str(log), str(FILTER)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "192.0.2.1" not in re.sub(r"user=\"[^\"]*\"", "", said)
    return said


def test_each_failed_login_is_found(tmp_path: Path, log: str) -> None:
    """fail2ban finds each failed login and no other line."""
    (tmp_path / "log").write_text(log)
    said = found(tmp_path / "log")
    assert "Failregex: 3 total" in said, said
    assert f"Lines: {log.count(chr(10))} lines, 0 ignored, 3 matched" in said, said


def test_only_our_journal(tmp_path: Path, log: str) -> None:
    """fail2ban finds the same lines in the journal of our unit, and none in others."""
    need("/usr/bin/python3", "-c", "import systemd.journal")
    lines = log.splitlines()
    ours = journal(tmp_path, lines, "restante.service")
    others = journal(tmp_path, lines, "else.service")
    said = found(f"systemd-journal[journalfiles='{ours},{others}']")
    assert "Failregex: 3 total" in said, said
    assert f"Lines: {len(lines)} lines, 0 ignored, 3 matched" in said, said


def test_further_keys_are_allowed(tmp_path: Path, log: str) -> None:
    """A line with further keys, as later versions may write, is found too."""
    need("/usr/bin/python3", "-c", "import systemd.journal")
    longer = [f"{line} reason=password pid=7" for line in log.splitlines()]
    (tmp_path / "log").write_text("\n".join(longer) + "\n")
    assert "Failregex: 3 total" in found(tmp_path / "log")
    ours = journal(tmp_path, longer, "restante.service")
    assert "Failregex: 3 total" in found(f"systemd-journal[journalfiles='{ours}']")


def test_account_without_a_secret(tmp_path: Path, log: str) -> None:
    """Clients that try APOP before the password are not banned; a name cannot feign this."""
    wrong = next(line for line in log.splitlines() if "event=login_failed" in line)
    no_secret = re.sub(r"method=.* session", 'method=APOP reason="no secret" session', wrong)
    feigned = wrong.replace("user=ann", r'user="method=APOP reason=\"no secret\""')
    assert len({wrong, no_secret, feigned}) == 3
    (tmp_path / "log").write_text(f"{wrong}\n{no_secret}\n{feigned}\n")
    said = found(tmp_path / "log")
    assert "Lines: 3 lines, 1 ignored, 2 matched" in said, said


@pytest.mark.parametrize("jail", [JOURNAL_JAIL, FILE_JAIL], ids=["journal", "file"])
def test_fail2ban_starts_with_the_jail_of_the_page(tmp_path: Path, jail: str) -> None:
    """fail2ban accepts the jail of the documentation."""
    fail2ban = need("fail2ban-client")
    for name in ("fail2ban.conf", "jail.conf", "paths-common.conf", "paths-debian.conf"):
        shutil.copy(DEBIAN / name, tmp_path)
    for name in ("action.d", "filter.d"):
        shutil.copytree(DEBIAN / name, tmp_path / name)
    shutil.copy(FILTER, tmp_path / "filter.d")
    log = tmp_path / "restante.log"
    log.touch()  # as the unit does that writes to it
    (tmp_path / "jail.local").write_text(jail.replace("/var/log/restante.log", str(log)))
    done = subprocess.run(
        [fail2ban, "-c", tmp_path, "-t"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
