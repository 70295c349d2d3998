"""A real server, and waves of clients that come, misbehave, are killed, and leave."""

from __future__ import annotations

import contextlib
import signal
import statistics
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import argon2

from restante.server import demo
from soak import mail
from soak.clients import KINDS, PASSWORD, Crowd, command, prepare
from soak.watch import Sample, look
from support.process import Served, free_port, serving, wait_for_port

PER_PROCESS = 250  # clients
PATIENCE = 120  # seconds, for what takes a few when nothing else runs here
CONFIG = "[timeouts]\nlogin = {}\n"


@dataclass
class Soak:
    """A server with accounts for all clients, and what was measured of it."""

    served: Served
    crowds: list[Crowd]
    before: Sample  # without clients
    begun: float = field(default_factory=time.monotonic)
    rested: list[Sample] = field(default_factory=list)  # after each wave, when all had left

    def look(self) -> Sample:
        return look(self.served.process.pid, time.monotonic() - self.begun)

    def wave(
        self,
        seconds: float,
        kills: int,
        pause: float = 1,
        on_sample: Callable[[Sample], None] = lambda _: None,
    ) -> list[Sample]:
        """Run clients for a while, kill a number of their processes, and end all the others.

        On a slow machine it takes longer: each kind of client comes at least once.
        """
        samples: list[Sample] = []
        came = self.account().sessions
        with contextlib.ExitStack() as undo:
            running = [undo.enter_context(_running(crowd)) for crowd in self.crowds]
            begun, killed = time.monotonic(), 0
            while (passed := time.monotonic() - begun) < seconds or not self._all_came(came):
                assert passed < seconds + PATIENCE, f"not all came: {self.account().sessions}"
                time.sleep(pause)
                samples.append(self.look())
                on_sample(samples[-1])
                if killed < kills and passed > seconds * (killed + 1) / (kills + 1):
                    place = killed % len(running)
                    running[place].kill()
                    running[place].wait()
                    running[place] = undo.enter_context(_running(self.crowds[place]))
                    killed += 1
        self.rested.append(self._rest())
        on_sample(self.rested[-1])
        return samples

    def _all_came(self, before: Counter[str]) -> bool:
        since = self.account().sessions - before
        return all(any(done.startswith(kind) for done in since) for kind in KINDS)

    def _rest(self) -> Sample:
        """Wait until the server has closed all connections of clients that left."""
        deadline = time.monotonic() + PATIENCE
        while (sample := self.look()).descriptors > self.before.descriptors:
            assert time.monotonic() < deadline, f"descriptors are left: {sample}"
            time.sleep(0.2)
        return sample

    def account(self) -> mail.Account:
        return mail.Account.read(self.served.mail.parent)

    def wrongs(self) -> list[str]:
        """Return in words what should not be: problems, lost mail, locks, incidents."""
        account, folder = self.account(), self.served.mail
        held = [f"{name} is locked" for name in mail.locked(folder.iterdir())]
        log = self.served.log.read_text()
        incidents = [line for line in log.splitlines() if "incident" in line]
        return [*account.problems, *account.wrongs(folder), *held, *incidents]


@contextlib.contextmanager
def soaking(folder: Path, clients: int, hold: float, patience: float) -> Iterator[Soak]:
    """Serve the accounts of clients while the block runs; a third of them use TLS.

    `hold` is how long they may take over what needs no time, `patience` how long the server waits
    for a login, both in seconds.
    """
    users = folder / "users"
    hashed = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    users.write_text("".join(f"u{number}:{hashed}\n" for number in range(clients)))
    users.chmod(0o600)
    config = folder / "config.toml"
    config.write_text(CONFIG.format(patience))
    certificate, key = demo.ensure_certificate(folder)
    tls_port = free_port()
    flags: list[str | Path] = ["--config", config, "--tls-listen", f"127.0.0.1:{tls_port}"]
    flags += ["--certificate", certificate, "--key", key]
    with serving(folder, *flags, measured=True) as served:
        wait_for_port(tls_port, served.process)
        crowds = [
            Crowd(
                served.port, tls_port, str(folder), first, min(PER_PROCESS, clients - first), hold
            )
            for first in range(0, clients, PER_PROCESS)
        ]
        ledger = mail.Ledger(folder / "first.ledger")
        for crowd in crowds:
            prepare(crowd, ledger)
        with served.connect() as client:
            client.log_in("u0", PASSWORD)
            client.say("QUIT")
            client.read_all()
        yield Soak(served, crowds, look(served.process.pid))


def median(samples: list[Sample]) -> float:
    """Return the resident octets in the middle of these samples."""
    return statistics.median(sample.resident for sample in samples)


@contextlib.contextmanager
def _running(crowd: Crowd) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process of clients; at the end it gets SIGTERM."""
    with subprocess.Popen(command(crowd)) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(PATIENCE)
                except subprocess.TimeoutExpired:
                    process.kill()
