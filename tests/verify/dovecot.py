"""Debian's Dovecot, with a configuration and mail of its own on loopback."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

from support.live import PATIENCE
from support.process import free_port, wait_for_port
from support.programs import need

CONFIG = """
base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/log
protocols = pop3
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {login}
first_valid_uid = 0
mail_location = maildir:{folder}/mail/%u
pop3_uidl_format = %08Xu%08Xv
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}/home/%u
}}
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
}}
service stats {{
  chroot =
}}
service auth {{
  chroot =
}}
"""


OWNER = (65_534, 65_534) if os.getuid() == 0 else (os.getuid(), os.getgid())
"""Whose the mail is: Dovecot refuses mail of root's."""


def maildir(folder: Path, user: str) -> Path:
    """Make a user's Maildir, and return it."""
    box = folder / "mail" / user
    for part in (box, box / "tmp", box / "new", box / "cur"):
        part.mkdir(parents=True)
        os.chown(part, *OWNER)
    return box


@contextlib.contextmanager
def dovecot(folder: Path, password: str) -> Iterator[int]:
    """Run Dovecot with its mail below folder/mail while the block runs; give its port."""
    program, port = need("dovecot"), free_port()
    for part in ("run", "home", "mail"):
        (folder / part).mkdir()
    for part in ("home", "mail"):
        os.chown(folder / part, *OWNER)
    config = folder / "dovecot.conf"
    user, group, login = _accounts()
    folder.chmod(0o755)  # its login process runs as somebody else
    config.write_text(
        CONFIG.format(
            folder=folder,
            port=port,
            password=password,
            user=user,
            group=group,
            login=login,
            uid=OWNER[0],
            gid=OWNER[1],
        )
    )
    command = [program, "-F", "-c", str(config)]
    with subprocess.Popen(command, start_new_session=True) as process:
        try:
            wait_for_port(port, process)
            yield port
        finally:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(PATIENCE)
            process.kill()


def _accounts() -> tuple[str, str, str]:
    """Return who Dovecot runs as: its package's users where we are root, else we ourselves."""
    if os.getuid() == 0:
        return "dovecot", "dovecot", "dovenull"
    name = pwd.getpwuid(os.getuid()).pw_name
    return name, grp.getgrgid(os.getgid()).gr_name, name
