"""Debian's Dovecot on an mbox, by its command doveadm: no server runs."""

from __future__ import annotations

import os
import pwd
import subprocess
from pathlib import Path

from storage.mbox.box import Box
from support.programs import need

PATIENCE = 60  # seconds

CONFIG = """
base_dir = {folder}/run
state_dir = {folder}/run
log_path = /dev/stderr
protocols = pop3
ssl = no
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
first_valid_uid = 0
first_valid_gid = 0
mail_uid = {uid}
mail_gid = {gid}
mail_location = mbox:{folder}/dovecot:INBOX={mbox}
"""


class Dovecot:
    """Dovecot, which will not touch mail as root: then all belongs to nobody."""

    def __init__(self, box: Box, folder: Path) -> None:
        self._box = box
        self._config = folder / "dovecot.conf"
        self._user = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
        us = pwd.getpwuid(os.geteuid())
        (folder / "dovecot").mkdir()
        self._config.write_text(
            CONFIG.format(
                folder=folder,
                mbox=box.file,
                user=us.pw_name,
                group=us.pw_gid,
                uid=self._user.pw_uid,
                gid=self._user.pw_gid,
            )
        )
        for path in (folder, folder / "dovecot", box.root):
            self._give(path)

    def __call__(self, *command: str, stdin: bytes = b"") -> bytes:
        """Run a doveadm command and return what it says."""
        if self._box.file.exists():
            self._give(self._box.file)
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self._box.root.parent),
            "LC_ALL": "C",
        }
        done = subprocess.run(
            [need("doveadm"), "-c", self._config, *command],
            input=stdin, env={**environment, "USER": self._user.pw_name},
            capture_output=True, check=False, timeout=PATIENCE,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _give(self, path: Path) -> None:
        os.chown(path, self._user.pw_uid, self._user.pw_gid)
