"""The servers side by side, each with its own configuration on loopback, held to given cores."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mail import PASSWORD

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
pop3_uidl_format = %08Xu%08Xv
maildir_very_dirty_syncs = yes
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
  process_limit = 4096
}}
{auth_tuning}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
"""

TUNED = {
    "login_tuning": "service_count = 0\n  process_min_avail = 1\n  client_limit = 5000",
    "pop3_tuning": "service_count = 0\n  process_min_avail = 4\n  client_limit = 1",
    "auth_tuning": "auth_cache_size = 10M\nauth_cache_ttl = 1 hour\nmail_fsync = never",
}
AS_INSTALLED = {"login_tuning": "", "pop3_tuning": "", "auth_tuning": ""}


@dataclass(frozen=True, slots=True)
class Running:
    """A server that runs."""

    name: str
    port: int
    pid: int

    def memory(self) -> int:
        """Return the octets that its processes hold together, shared pages divided."""
        return sum(map(_proportional, _family(self.pid)))


def _family(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(descendant for child in children for descendant in _family(int(child)))]


def _proportional(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


@contextlib.contextmanager
def restante(
    folder: Path, mail: Path, cores: set[int], *, workers: int = 1, name: str = "Restante"
) -> Iterator[Running]:
    """Run Restante, with sha512-crypt passwords, lock, limits and log on."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    users, config = folder / "users", folder / "restante.toml"
    stored = _crypted()
    users.write_text("".join(f"{box.name}:{stored}\n" for box in sorted(mail.iterdir())))
    users.chmod(0o600)
    several = f"workers = {workers}" if workers > 1 else ""
    config.write_text(
        f'[server]\nlisten = ["127.0.0.1:{port}"]\n{several}\n'
        f'[mail]\nfolder = "{mail}"\n[accounts]\nusers = "{users}"\n'
        "[limits]\nconnections_per_address = 10000\n"
    )
    command = [str(Path(sys.executable).parent / "pop3"), "serve", "--config", str(config)]
    with _running(command, folder, port, cores) as process:
        yield Running(name, port, process.pid)


@contextlib.contextmanager
def dovecot(folder: Path, mail: Path, cores: set[int], *, tuned: bool = True) -> Iterator[Running]:
    """Run Debian's Dovecot, as installed or tuned; its password is stored as ours are."""
    for part in ("run", "home"):
        (folder / part).mkdir(parents=True)
    os.chown(folder / "home", NOBODY, NOBODY)
    folder.chmod(0o755)
    port, stored = free_port(), _crypted()
    boxes = sorted(mail.iterdir())
    users = "".join(f"{box.name}:{{SHA512-CRYPT}}{stored}::::::\n" for box in boxes)
    (folder / "users").write_text(users)
    root = os.getuid() == 0
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
    with _running(command, folder, port, cores) as process:
        yield Running("Dovecot tuned" if tuned else "Dovecot as installed", port, process.pid)


@contextlib.contextmanager
def _running(
    command: list[str], folder: Path, port: int, cores: set[int]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command on some cores until the block ends; it must listen by then."""
    hold: Callable[[], None] = lambda: os.sched_setaffinity(0, cores)  # noqa: E731
    with (
        (folder / "output").open("wb") as output,
        subprocess.Popen(  # there are no threads here
            command, stdout=output, stderr=output, preexec_fn=hold, start_new_session=True
        ) as process,
    ):
        try:
            _wait_for(port, process)
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(200):
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise RuntimeError(f"{process.args!r} does not listen at port {port}")


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _crypted() -> str:
    """Return the password as both servers can check it."""
    said = subprocess.run(
        ["openssl", "passwd", "-6", "-salt", "benchmark", "-stdin"],
        input=PASSWORD.encode(), capture_output=True, check=True,
    )  # fmt: skip
    return said.stdout.decode().strip()


def _me() -> str:
    import pwd

    return pwd.getpwuid(os.getuid()).pw_name
