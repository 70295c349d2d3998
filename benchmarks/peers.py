"""The servers that Restante is compared with, each with its own configuration."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from servers import Running, crypted, free_port, running

if TYPE_CHECKING:
    from collections.abc import Iterator

BUILD = Path(__file__).parents[1] / "build"
COURIER = (
    BUILD / "courier"
)  # Debian's packages, unpacked: they cannot be installed beside Dovecot's
TWISTED = BUILD / "twisted"  # a virtual environment
NOBODY = 65_534 if os.getuid() == 0 else os.getuid()

DOVECOT = """
base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/log
protocols = pop3
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
default_internal_user = {user}
default_login_user = {login}
mail_location = maildir:{mail}/%u
passdb {{
  driver = passwd-file
  args = {folder}/users
}}
userdb {{
  driver = static
  args = uid={uid} gid={uid} home={folder}/home/%u
}}
service pop3-login {{
  chroot =
  {login_tuning}
  inet_listener pop3 {{
    port = {port}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
service pop3 {{
  {pop3_tuning}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
{tuning}
"""

# What an expert sets for POP3 on one core: processes that serve one client after the other, logins
# remembered, nothing synced, no flags written, sizes from the names, no statistics.
TUNED = {
    "login_tuning": "service_count = 0\n  process_min_avail = 1\n  client_limit = 5000",
    "pop3_tuning": "service_count = 0\n  process_min_avail = 4\n  process_limit = 5000",
    "tuning": """
auth_cache_size = 10M
auth_cache_ttl = 1 hour
default_client_limit = 20000
mail_fsync = never
maildir_very_dirty_syncs = yes
pop3_fast_size_lookups = yes
pop3_no_flag_updates = yes
stats_writer_socket_path =
""",
}
AS_INSTALLED = {"login_tuning": "", "pop3_tuning": "", "tuning": ""}


@contextlib.contextmanager
def dovecot(folder: Path, mail: Path, core: int, *, tuned: bool = True) -> Iterator[Running]:
    """Run Debian's Dovecot, as installed or tuned; its password is stored as ours are."""
    for part in ("run", "home"):
        (folder / part).mkdir(parents=True)
    os.chown(folder / "home", NOBODY, NOBODY)
    folder.chmod(0o755)
    port, stored, root = free_port(), crypted(), os.getuid() == 0
    boxes = sorted(mail.iterdir())
    users = "".join(f"{box.name}:{{SHA512-CRYPT}}{stored}::::::\n" for box in boxes)
    (folder / "users").write_text(users)
    (folder / "dovecot.conf").write_text(
        DOVECOT.format(
            folder=folder,
            mail=mail,
            port=port,
            uid=NOBODY,
            user="dovecot" if root else _me(),
            login="dovenull" if root else _me(),
            **(TUNED if tuned else AS_INSTALLED),
        )
    )
    command = ["dovecot", "-F", "-c", str(folder / "dovecot.conf")]
    with running(command, folder, port, {core}) as process:
        yield Running("Dovecot tuned" if tuned else "Dovecot as installed", port, process.pid)


def _me() -> str:
    import pwd

    return pwd.getpwuid(os.getuid()).pw_name


# Its places are compiled in, so it sees them in a mount namespace of its own, over this machine's.
COURIER_START = """
set -e
for part in usr/lib usr/sbin; do
    mount -t overlay overlay -o "lowerdir=$unpacked/$part:/$part" "/$part"
done
mount -t overlay overlay -o "lowerdir=$unpacked/etc:/etc,upperdir=$folder/etc,workdir=$folder/work" /etc
mount -t tmpfs tmpfs /run
mkdir -p /run/courier/authdaemon
cp "$folder/userdb" /etc/courier/userdb
chmod 600 /etc/courier/userdb
/usr/sbin/makeuserdb
sed -i 's/^authmodulelist=.*/authmodulelist="authuserdb"/' /etc/courier/authdaemonrc
set -a
. /etc/courier/authdaemonrc
trap 'kill $logins $sessions; wait' TERM
/usr/lib/courier/courier-authlib/authdaemond &
logins=$!
until [ -S /run/courier/authdaemon/socket ]; do sleep 0.1; done
/usr/sbin/couriertcpd -address=127.0.0.1 -maxprocs=100 -maxperip=100 -nodnslookup \
    -noidentlookup "$port" /usr/lib/courier/courier/courierpop3login \
    /usr/lib/courier/courier/courierpop3d . &
sessions=$!
wait
"""


@contextlib.contextmanager
def courier(folder: Path, mail: Path, core: int) -> Iterator[Running]:
    """Run Debian's Courier, as installed but for limits on connections that would stop the load."""
    for part in ("etc", "work"):
        (folder / part).mkdir(parents=True)
    stored, port = crypted(), free_port()
    (folder / "userdb").write_text(
        "".join(
            f"{box.name}\thome={box}|uid={NOBODY}|gid={NOBODY}|systempw={stored}\n"
            for box in sorted(mail.iterdir())
        )
    )
    places = {"unpacked": COURIER, "folder": folder, "port": port}
    settings = [f"{name}={place}" for name, place in places.items()]
    command = ["env", *settings, "unshare", "--mount", "sh", "-c", COURIER_START]
    with running(command, folder, port, {core}) as process:
        yield Running("Courier", port, process.pid)


@contextlib.contextmanager
def twisted(folder: Path, mail: Path, core: int) -> Iterator[Running]:
    """Run Twisted's POP3 and Maildir; its password is not hashed."""
    folder.mkdir(parents=True)
    port = free_port()
    program = Path(__file__).parent / "twisted_pop3.py"
    command = [str(TWISTED / "bin" / "python"), str(program), str(port), str(mail)]
    with running(command, folder, port, {core}) as process:
        yield Running("Twisted", port, process.pid)


def missing() -> dict[str, str]:
    """Return the peers that cannot run here, each with what is missing."""
    found = {}
    if not shutil.which("dovecot"):
        found["Dovecot"] = "install dovecot-core and dovecot-pop3d"
    if not (COURIER / "usr/sbin/couriertcpd").exists() or os.getuid() != 0:
        found["Courier"] = "make bench-courier, and run this as root"
    if not (TWISTED / "bin/python").exists():
        found["Twisted"] = "make build/twisted"
    return found
