"""Debian's Dovecot, with a configuration and mail of its own on loopback.

The benchmarks run it too, and have no pytest.
"""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import re
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from support import dovecot_2_4
from support.live import PATIENCE
from support.process import free_port, wait_for_port

COMMON = """\
base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/log
protocols = pop3
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain
auth_failure_delay = 0 secs
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {login}
first_valid_uid = 0
first_valid_gid = 0
mail_location = maildir:{folder}/mail/%u
pop3_uidl_format = %08Xu%08Xv
service pop3-login {{
  chroot =
  inet_listener pop3 {{
    port = {port}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  chroot =
}}
service auth {{
  chroot =
}}
"""
ONE_PASSWORD = """\
passdb {{
  driver = static
  args = password={password}
}}
"""
ONE_OWNER = """\
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}/home/%u
}}
"""
IMAP = """\
protocols = pop3 imap
service imap-login {
  chroot =
  inet_listener imap {
    port = PORT
  }
  inet_listener imaps {
    port = 0
  }
}
"""
STORED_PASSWORDS = """\
passdb {{
  driver = passwd-file
  args = {folder}/users
}}
"""
STORED_OWNERS = STORED_PASSWORDS.replace("passdb", "userdb")

OWNER = (65_534, 65_534) if os.getuid() == 0 else (os.getuid(), os.getgid())
"""Whose the mail is: Dovecot refuses mail of root's."""


@dataclass(frozen=True, slots=True)
class Dovecot:
    """A Dovecot that is set up in a folder, with a Maildir for each user below `folder/mail`."""

    folder: Path
    port: int

    @property
    def config(self) -> Path:
        """Its configuration."""
        return self.folder / "dovecot.conf"

    @property
    def command(self) -> list[str]:
        """The command that serves until it is stopped."""
        return ["dovecot", "-F", "-c", str(self.config)]

    def maildir(self, user: str) -> Path:
        """Make a user's Maildir, and return it."""
        box = self.folder / "mail" / user
        for part in (box, box / "tmp", box / "new", box / "cur"):
            part.mkdir(parents=True)
            os.chown(part, *OWNER)
        return box

    def doveadm(self, *command: str, stdin: bytes = b"") -> bytes:
        """Run a command of doveadm as the owner of the mail, and return its output."""
        owner = {"USER": pwd.getpwuid(OWNER[0]).pw_name, "HOME": str(self.folder)}
        done = subprocess.run(
            ["doveadm", "-c", str(self.config), *command],
            input=stdin,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C", **owner},
            capture_output=True,
            check=False,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


def set_up(
    folder: Path, accounts: str = ONE_PASSWORD + ONE_OWNER, more: str = "", password: str = ""
) -> Dovecot:
    """Write a configuration into a folder, which may not exist, and start nothing.

    `accounts` are passdb and userdb as above; the last two read `folder/users`. `more` is added at
    the end, where it overrides what comes before; it is taken as it is.
    """
    for part in ("run", "home", "mail"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for part in ("home", "mail"):
        os.chown(folder / part, *OWNER)
    folder.chmod(0o755)  # its login process runs as another user
    found = Dovecot(folder, free_port())
    user, group, login = _accounts()
    written = (COMMON + accounts).format(
        folder=folder,
        port=found.port,
        password=password,
        user=user,
        group=group,
        login=login,
        uid=OWNER[0],
        gid=OWNER[1],
    )
    text = written + more
    found.config.write_text(dovecot_2_4.translate(text) if dovecot_2_4.is_installed() else text)
    return found


@contextlib.contextmanager
def dovecot(
    folder: Path, password: str, more: str = "", accounts: str = ONE_PASSWORD + ONE_OWNER
) -> Iterator[Dovecot]:
    """Run Dovecot in a folder while the block runs; a test without the program is skipped."""
    from support.programs import need

    need("dovecot")
    found = set_up(folder, accounts, more, password)
    with subprocess.Popen(found.command, start_new_session=True) as process:
        try:
            others = re.findall(r"^ *port = ([1-9][0-9]*)", more, re.MULTILINE)
            for port in (found.port, *map(int, others)):
                wait_for_port(port, process)
            yield found
        finally:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(PATIENCE)
            process.kill()


def _accounts() -> tuple[str, str, str]:
    """Return the users that Dovecot runs as: its package's if we are root, else our own."""
    if os.getuid() == 0:
        return "dovecot", "dovecot", "dovenull"
    name = pwd.getpwuid(os.getuid()).pw_name
    return name, grp.getgrgid(os.getgid()).gr_name, name


@contextlib.contextmanager
def imap_server(folder: Path, password: str, more: str = "") -> Iterator[tuple[Dovecot, int]]:
    """Run Dovecot with IMAP too, and give its port for IMAP; a test without it is skipped."""
    from support.programs import need

    need("/usr/lib/dovecot/imap")
    port = free_port()
    with dovecot(folder, password, IMAP.replace("PORT", str(port)) + more) as found:
        yield found, port
