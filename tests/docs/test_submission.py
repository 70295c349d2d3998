"""The configuration of docs/how-to/submission.md lets Dovecot read the server's accounts."""

from __future__ import annotations

import base64
import os
import re
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from support import dovecot_2_4
from support.command import pop3
from support.dovecot import set_up
from support.live import wait_until
from support.other_user import public_folder
from support.programs import need

PAGE = (Path(__file__).parents[2] / "docs/how-to/submission.md").read_text()
PASSDB = re.compile(r"^passdb .*?^}\n", re.MULTILINE | re.DOTALL)


def page_settings(users: Path, door: Path) -> str:
    """Return the page's settings of Dovecot, for these files and the group `mail`."""
    (settings,) = re.findall(r"^```ini\n(protocols =\n.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    if dovecot_2_4.is_installed():
        (newer,) = re.findall(
            r"^```ini\n(passdb passwd-file .*?)^```", PAGE, re.MULTILINE | re.DOTALL
        )
        settings = PASSDB.sub(newer, settings)
    words = {"/etc/restante/users": users, "/var/spool/postfix/private/auth": door}
    for word, path in words.items():
        settings = settings.replace(word, str(path))
    settings = settings.replace("extra_groups = vmail", "extra_groups = mail")
    return re.sub(r"^    (?:user|group) = postfix\n", "", settings, flags=re.MULTILINE)


def log_in(door: Path, name: str) -> str:
    """Return the first word that Dovecot sends to a mail server that has the right password."""
    with socket.socket(socket.AF_UNIX) as client, client.makefile("rwb") as stream:
        client.connect(str(door))
        response = base64.b64encode(f"\0{name}\0restante".encode()).decode()
        request = f"AUTH\t1\tPLAIN\tservice=smtp\tnologin\tresp={response}\n"
        stream.write(f"VERSION\t1\t2\nCPID\t1\n{request}".encode())
        stream.flush()
        replies = (line.split(b"\t")[0].decode() for line in stream)
        return next(reply for reply in replies if reply in {"OK", "FAIL"})


def test_dovecot_reads_the_accounts() -> None:
    """It reads a file of the server's group, and the locks stop what the page says."""
    need("dovecot")
    if os.getuid() != 0:
        pytest.skip("Dovecot's own user requires root")
    with public_folder() as folder:
        users, door = folder / "users", folder / "auth"
        for name in ("ann", "bob", "eve"):
            added = pop3(
                "user", "add", name, "--password-stdin", "--users", users, stdin=b"restante\n"
            )
            assert added.code == 0, added.err
        assert pop3("user", "lock", "bob", "--users", users).code == 0
        users.write_text(re.sub(r"(?m)^(eve:[^:]*):.*", r"\1::::::fail", users.read_text()))
        users.chmod(0o640)
        shutil.chown(users, "root", "mail")
        running = set_up(folder / "dovecot", "", page_settings(users, door))
        with subprocess.Popen(running.command, start_new_session=True) as process:
            try:
                wait_until(door.exists)
                replies = {name: log_in(door, name) for name in ("ann", "bob", "eve")}
            finally:
                process.terminate()
    assert replies == {"ann": "OK", "bob": "OK", "eve": "FAIL"}
