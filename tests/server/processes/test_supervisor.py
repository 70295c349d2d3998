"""Tasks beside POP3 run in each worker, or in one of them."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TypeAlias

import pytest

from restante.server.system import process as system
from support import process
from support.live import PATIENCE, wait_until
from support.passwords import quick_hash
from support.process import POP3, free_port
from support.workers import working

Program: TypeAlias = "subprocess.Popen[str]"

OLD = b"Subject: old\n\n"


def put_old_letter(file: Path) -> Path:
    """Write a message that is due."""
    file.write_bytes(OLD)
    os.utime(file, (0, 0))
    return file


STEADY = """#!{python}
from restante.cli.main import main
from restante.server.tasks import steady_clock

steady_clock.AFTER_BOOT = 0
main()
"""


def use_program(text: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a program, which changes some times, in place of `pop3`."""
    program = folder / "pop3"
    program.write_text(text.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setattr(process, "POP3", program)


def test_old_mail_is_removed_by_one_worker_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One worker expires old mail; if it dies, its successor does."""
    use_program(STEADY, tmp_path, monkeypatch)  # the machine may have booted a moment ago
    new = tmp_path / "mail" / "ann" / "new"
    for part in ("tmp", "new", "cur"):
        (new.parent / part).mkdir(parents=True)
    users = tmp_path / "users"
    users.write_text(f"ann:{quick_hash(b'secret')}\n")
    users.chmod(0o600)
    put_old_letter(new / "1.test")
    with working(tmp_path, "[mail]\nexpire_days = 30\nfolder = 'mail'\n") as workers:
        first, second = workers.started()
        workers.wait_for("expired")  # so the first round is over
        assert f"pid={first}" in workers.events("expired")[0]
        letter = put_old_letter(new / "2.test")
        os.kill(second, signal.SIGKILL)
        with ExitStack() as stack:
            wait_until(lambda: len(workers.alive()) == 2 and second not in workers.alive())
            workers.at_each(stack, workers.greeted)
        assert letter.exists()
        os.kill(first, signal.SIGKILL)  # its successor has its duty, and checks at once
        wait_until(lambda: len(workers.events("expired")) == 2)
        assert not letter.exists()
        successor = workers.started()[3]
        assert f"pid={successor}" in workers.events("expired")[1]


JUMPING = """#!{python}
import time
from pathlib import Path

real_time = time.time
time.time = lambda: real_time() + (Path("jump").exists() and 90 * 86400)

from restante.cli.main import main
from restante.server.tasks import steady_clock

steady_clock.AFTER_BOOT = 0
main()
"""


def test_jump_before_a_reload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that starts after a jump of the clock removes no mail by it."""
    use_program(JUMPING, tmp_path, monkeypatch)
    monkeypatch.chdir(tmp_path)
    with working(tmp_path, "[mail]\nexpire_days = 30\n") as workers:
        due = put_old_letter(workers.served.add("ann", "secret") / "new" / "1.test")
        workers.served.process.send_signal(signal.SIGHUP)
        workers.wait_for("expired")
        workers.wait_for("reloaded")
        assert not due.exists()
        (tmp_path / "letter").write_bytes(OLD)
        (tmp_path / "letter").rename(due)  # a worker may list the mail at any moment
        (tmp_path / "jump").touch()
        workers.served.process.send_signal(signal.SIGHUP)
        workers.wait_for("reloaded", 2)
        wait_until(lambda: workers.events("clock_jumped") + workers.events("expired")[1:])
        assert due.exists()


HANGING = """#!{python}
import asyncio
from pathlib import Path
from restante.cli.main import main
from restante.server.processes import worker

serve = worker._serve

async def hang(*arguments):
    if Path("hang").exists():
        await asyncio.sleep(3600)
    await serve(*arguments)

worker._serve = hang
main()
"""


def test_reload_after_workers_that_hang(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers of two reloads that never accept a connection do not keep off a third reload."""
    use_program(HANGING, tmp_path, monkeypatch)
    monkeypatch.chdir(tmp_path)
    with working(tmp_path) as workers:
        (tmp_path / "hang").touch()
        for started in (4, 6):
            workers.served.process.send_signal(signal.SIGHUP)
            workers.wait_for("worker_started", started)
        (tmp_path / "hang").unlink()
        workers.served.process.send_signal(signal.SIGHUP)
        workers.wait_for("reloaded")
        wait_until(lambda: len(workers.alive()) == 2)


PROGRAM = """
    import asyncio, contextlib, socket, sys
    from pathlib import Path
    from restante.server.config import loader
    from restante.server.app import run

    class Echo:
        '''Sends each client the number of its process.'''

        def open(self):
            print("open", flush=True)
            self.socket = socket.create_server(("127.0.0.1", {port}))
            return [self.socket]

        @contextlib.asynccontextmanager
        async def serve(self, sockets, context):
            if "fails" in sys.argv:
                with contextlib.suppress(FileExistsError):
                    Path("failed").touch(exist_ok=False)
                    raise RuntimeError("cannot serve yet")
            async def tell(reader, writer):
                import os
                writer.write(str(os.getpid()).encode())
                writer.close()
            server = await asyncio.start_server(tell, sock=sockets[0])
            yield
            server.close()
            context.log.info("echo_over", store=type(context.store).__name__)

        def close(self):
            print("close", flush=True)

    known = loader.load(None, {{
        "server": {{"listen": ["127.0.0.1:0"], "workers": {workers}}},
        "mail": {{"folder": Path("mail")}},
        "accounts": {{"users": Path("users")}},
    }})
    run(known, lambda addresses: print("ready", flush=True), [Echo()])
"""


@contextlib.contextmanager
def with_extra_listener(folder: Path, port: int, workers: int, *flags: str) -> Iterator[Program]:
    (folder / "mail").mkdir()
    (folder / "users").touch()
    program = textwrap.dedent(PROGRAM).format(port=port, workers=workers)
    with subprocess.Popen(
        [sys.executable, "-c", program, *flags],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as server:  # fmt: skip
        try:
            assert server.stdout is not None
            assert [server.stdout.readline() for _ in range(2)] == ["open\n", "ready\n"]
            yield server
        finally:
            server.kill()


def ended(server: Program) -> tuple[str, str]:
    """End it, and return what it said and its log."""
    server.send_signal(signal.SIGTERM)
    said, log = server.communicate(timeout=60)
    assert server.returncode == 0
    return said, log


@pytest.mark.parametrize("workers", [1, 2])
def test_extra_listener(tmp_path: Path, workers: int) -> None:
    """An extra listener is opened once, and serves in each process."""
    port = free_port()
    with with_extra_listener(tmp_path, port, workers) as server:
        seen: set[bytes] = set()
        for _ in range(1000):
            with socket.create_connection(("127.0.0.1", port)) as client:
                seen.add(client.makefile("rb").read())
            if len(seen) == workers:
                break
        assert len(seen) == workers
        said, log = ended(server)
    assert said == "close\n"
    assert log.count("event=echo_over store=MaildirStore") == workers


def test_a_worker_that_fails_is_told_of_and_replaced(tmp_path: Path) -> None:
    """A worker that fails is logged with its error, and replaced."""
    with with_extra_listener(tmp_path, free_port(), 2, "fails") as server:
        _, log = ended(server)
    assert 'event=incident what="a worker failed"' in log
    assert "RuntimeError: cannot serve yet" in log
    assert log.count("event=worker_ended") == 3
    assert log.count("level=error event=worker_ended") == 1
    assert 'status="exit 1"' in log


def test_auto_is_a_worker_for_each_core_that_may_be_used() -> None:
    """`auto` counts only the cores that the process may use."""
    cores = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(cores)})
        assert system.available_cores() == 1
    finally:
        os.sched_setaffinity(0, cores)
    assert system.available_cores() == len(cores)


@pytest.mark.parametrize("wrong", ["0", "-1", "many", "1.5", "9" * 5000])
def test_a_number_of_workers_that_is_none_is_told_of(tmp_path: Path, wrong: str) -> None:
    """An invalid number of workers is an error with exit code 2."""
    said = subprocess.run(
        [POP3, "serve", "--workers", wrong, "--mail", tmp_path, "--users", tmp_path],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert said.returncode == 2
    assert "auto" in said.stderr


def test_an_address_that_is_named_twice(tmp_path: Path) -> None:
    """Workers cannot serve twice at one socket: the server does not start, and says why."""
    (tmp_path / "users").touch()
    (tmp_path / "mail").mkdir()
    address = f"127.0.0.1:{free_port()}"
    said = subprocess.run(
        [POP3, "serve", "--workers", "2", "--listen", address, "--listen", address,
         "--mail", tmp_path / "mail", "--users", tmp_path / "users"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert said.returncode == 1
    assert said.stderr.endswith(
        f"cannot listen at {address}: the configuration names it twice; omit one of them\n"
    )


RENEWING = """#!{python}
from restante.cli.main import main
from restante.server.processes import supervisor, worker

worker.BEAT = supervisor.BEAT = 0.1
supervisor.CHECK_EVERY = 0.0
supervisor.RENEW_PAUSE = 1.0
main()
"""


def test_no_workers_for_new_sockets_after_a_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that stops does not start the workers that new Unix sockets would require."""
    use_program(RENEWING, tmp_path, monkeypatch)
    lmtp = tmp_path / "lmtp"
    with working(tmp_path, f'[delivery]\nlmtp = "{lmtp}"\n[timeouts]\nstop = 3\n') as workers:
        wait_until(lambda: len(workers.alive()) == 2)
        stuck, users = workers.alive()[0], workers.served.users
        missing = users.rename(tmp_path / "missing")
        lmtp.unlink()
        workers.wait_for("not_reloaded")
        os.kill(stuck, signal.SIGSTOP)
        workers.served.process.send_signal(signal.SIGTERM)
        workers.wait_for("stopping")
        missing.rename(users)  # the next try would succeed
        assert workers.served.process.wait(PATIENCE) == 0
        assert len(workers.started()) == 2
