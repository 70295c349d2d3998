"""The servers that Restante is compared with, each with its own configuration."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from servers import Running, certified, crypted, running

from mail import PASSWORD
from support.dovecot import ONE_OWNER, OWNER, STORED_PASSWORDS, set_up
from support.process import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

BUILD = Path(__file__).parents[1] / "build"
COURIER = (
    BUILD / "courier"
)  # Debian's packages, unpacked: they cannot be installed beside Dovecot's
TWISTED = BUILD / "twisted"  # a virtual environment
NOBODY = OWNER[0]

_TLS = """\
ssl = yes
ssl_cert = <{certificate}
ssl_key = <{key}
service pop3-login {{
  inet_listener pop3s {{
    port = {tls_port}
  }}
}}
"""

# What an expert sets for POP3 on one core: processes that serve one client after the other, logins
# remembered, nothing synced, no flags written, sizes from the names, no statistics.
_LOGIN = "service_count = 0\n process_min_avail = 1\n client_limit = 5000"
_POP3 = "service_count = 0\n process_min_avail = 4\n process_limit = 5000"
_SHARED = "service_count = 0\n process_min_avail = 1\n client_limit = 100"
_TUNING = """\
auth_cache_size = 10M
auth_cache_ttl = 1 hour
default_client_limit = 20000
mail_fsync = never
mail_max_userip_connections = 1000
maildir_very_dirty_syncs = yes
pop3_fast_size_lookups = yes
pop3_no_flag_updates = yes
stats_writer_socket_path =
service pop3-login {{
  {login}
}}
service pop3 {{
  {pop3}
}}
"""

# How it is set up; "shared" has processes that serve many clients at once, too.
DOVECOTS = {
    "Dovecot tuned": _TUNING.format(login=_LOGIN, pop3=_POP3),
    "Dovecot shared": _TUNING.format(login=_LOGIN, pop3=_SHARED),
    "Dovecot as installed": "",
}


@contextlib.contextmanager
def dovecot(folder: Path, mail: Path, core: int, name: str) -> Iterator[Running]:
    """Run Debian's Dovecot, set up in one of the ways above.

    Its login cache keeps the stored hash and computes it again at each login. So that a login of a
    user who comes again costs it no more than it costs us, the password is stored as a salted
    SHA-512 where it is tuned. As installed it is stored as ours are.
    """
    folder.mkdir(parents=True)
    (certificate, key), tls_port = certified(folder), free_port()
    tls = _TLS.format(certificate=certificate, key=key, tls_port=tls_port)
    place = f"mail_location = maildir:{mail}/%u\n"
    found = set_up(folder, STORED_PASSWORDS + ONE_OWNER, place + tls + DOVECOTS[name])
    stored = f"{{SHA512-CRYPT}}{crypted()}" if name == "Dovecot as installed" else _salted()
    boxes = sorted(mail.iterdir())
    (folder / "users").write_text("".join(f"{box.name}:{stored}::::::\n" for box in boxes))
    with running(found.command, folder, found.port, {core}) as process:
        yield Running(name, found.port, process.pid, tls_port)


def _salted() -> str:
    salt = b"benchmark"
    hashed = hashlib.sha512(PASSWORD.encode() + salt).digest()
    return "{SSHA512}" + base64.b64encode(hashed + salt).decode()


# Its places are compiled in, so it sees them in a mount namespace of its own, over this machine's.
COURIER_START = """
set -e
for part in usr/lib usr/sbin; do
    mount -t overlay overlay -o "lowerdir=$unpacked/$part:/$part" "/$part"
done
own="upperdir=$folder/etc,workdir=$folder/work"
mount -t overlay overlay -o "lowerdir=$unpacked/etc:/etc,$own" /etc
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
