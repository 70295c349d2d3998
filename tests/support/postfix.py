"""Debian's Postfix, with a configuration and a queue of its own, and on no port unless told."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from support.live import PATIENCE, wait_until
from support.programs import need

MAIN = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/mail.log
maillog_file_prefixes = {folder}
myhostname = mx.example.org
mydestination =
inet_interfaces = loopback-only
inet_protocols = ipv4
alias_maps =
alias_database =
default_transport = error:no mail leaves this test
relay_transport = error:no mail leaves this test
minimal_backoff_time = 1s
maximal_backoff_time = 1s
queue_run_delay = 1s
"""

MASTER = """
pickup    unix  n       -       y       60      1       pickup
cleanup   unix  n       -       y       -       0       cleanup
qmgr      unix  n       -       n       1       1       qmgr
rewrite   unix  -       -       y       -       -       trivial-rewrite
bounce    unix  -       -       y       -       0       bounce
defer     unix  -       -       y       -       0       bounce
trace     unix  -       -       y       -       0       bounce
verify    unix  -       -       y       -       1       verify
flush     unix  n       -       y       1000?   0       flush
proxymap  unix  -       -       n       -       -       proxymap
error     unix  -       -       y       -       -       error
retry     unix  -       -       y       -       -       error
lmtp      unix  -       -       y       -       -       lmtp
postlog   unix-dgram n  -       n       -       1       postlogd
"""


@dataclass
class Postfix:
    """A running Postfix."""

    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def log(self) -> str:
        file = self.folder / "mail.log"
        return file.read_text() if file.exists() else ""

    def send(self, message: bytes, sender: str, *recipients: str) -> None:
        """Hand a message in, as a program on the machine does."""
        command = [need("sendmail"), "-C", str(self.folder), "-i", "-f", sender, *recipients]
        subprocess.run(command, input=message, check=True, timeout=PATIENCE)

    def wait_for(self, text: str) -> None:
        """Wait until this stands in the log."""
        try:
            wait_until(lambda: text in self.log)
        except AssertionError:
            raise AssertionError(f"{text!r} is not in the log:\n{self.log}") from None


@contextlib.contextmanager
def postfix(folder: Path, main: str, master: str = "") -> Iterator[Postfix]:
    """Run Postfix while the block runs, with these lines added to its own configuration."""
    program = need("postfix")
    for part in ("queue", "data"):
        (folder / part).mkdir(exist_ok=True)
    subprocess.run(["chown", "postfix", folder / "data"], check=True)
    (folder / "main.cf").write_text(MAIN.format(folder=folder) + main)
    (folder / "master.cf").write_text(MASTER + master)
    command = [program, "-c", str(folder), "start-fg"]
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
    try:
        running = Postfix(folder, process)
        wait_until(lambda: process.poll() is not None or "daemon started" in running.log)
        assert process.poll() is None, (folder / "output").read_text() + running.log
        yield running
    finally:
        _stop(folder, process)


def _stop(folder: Path, process: subprocess.Popen[bytes]) -> None:
    """End Postfix's master, which has a session of its own, with its children."""
    with contextlib.suppress(FileNotFoundError):
        os.kill(int((folder / "queue/pid/master.pid").read_text()), signal.SIGTERM)
    try:
        process.wait(PATIENCE)
    finally:
        process.kill()
        process.wait()
