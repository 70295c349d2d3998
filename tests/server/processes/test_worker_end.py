"""Workers that end: with their supervisor, and when a reload replaces them."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest

from restante.server.processes.supervisor import RestartBackoff
from support.live import PATIENCE, Client, wait_until
from support.process import POP3, TLS, free_port, write_certificate
from support.workers import log_in, runs, value, working

LETTER = b"Subject: a\n\nhello\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_supervisor_ends_all_sessions(
    tmp_path: Path, number: signal.Signals
) -> None:
    """rfc1939-s6/only-quit-removes, known-bug/extra-reply."""
    with working(tmp_path) as workers, ExitStack() as stack:
        maildir = workers.served.add("ann", "secret", LETTER)
        first, second = workers.at_each(stack, workers.greeted).values()
        assert log_in(first, "ann") == b"+OK Logged in.\r\n"
        assert first.say("DELE 1").startswith(b"+OK")
        first.acknowledge()
        second.acknowledge()
        workers.served.process.send_signal(number)
        assert workers.served.process.wait(PATIENCE) == 0
        assert first.read_all() == b""
        assert second.read_all() == b""
        assert len(list((maildir / "new").iterdir())) == 1
        assert all("level=info" in line for line in workers.events("worker_ended"))
        assert len([line for line in workers.events("session") if "end=shutdown" in line]) == 2


def test_a_client_that_comes_during_the_stop_is_refused(tmp_path: Path) -> None:
    """No client waits for the end of a server that finishes long replies."""
    with working(tmp_path) as workers, workers.served.connect() as client:
        workers.served.add("ann", "secret", LETTER + b"x" * 20_000_000)
        client.read_line()
        assert log_in(client, "ann") == b"+OK Logged in.\r\n"
        client.send(b"RETR 1\r\n")
        client.read_line()
        workers.served.process.send_signal(signal.SIGTERM)
        wait_until(lambda: is_refused(workers.served.port))
        assert workers.served.process.poll() is None


def is_refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), PATIENCE).close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:  # it waited to be accepted when the server closed its socket
        return False
    return False


def test_workers_end_with_supervisor(tmp_path: Path) -> None:
    """Workers end if their supervisor is killed."""
    with working(tmp_path) as workers, ExitStack() as stack:
        clients = workers.at_each(stack, workers.greeted)
        workers.served.process.kill()
        workers.served.process.wait(PATIENCE)
        assert [client.read_all() for client in clients.values()] == [b"", b""]
        workers.wait_for_end()


def test_a_worker_that_does_not_end_by_itself_is_killed(tmp_path: Path) -> None:
    """A worker that does not end in time is killed."""
    with working(tmp_path, "[timeouts]\nstop = 0.1\n") as workers:
        stuck = workers.alive()[0]
        os.kill(stuck, signal.SIGSTOP)
        workers.served.process.send_signal(signal.SIGTERM)
        assert workers.served.process.wait(3 * PATIENCE) == 0
        ended = workers.events("worker_ended")
        status = {value(line, "worker"): value(line, "status") for line in ended}
        assert status[str(stuck)] == "SIGKILL"


def test_crashing_worker_is_replaced(tmp_path: Path) -> None:
    """A worker that crashes repeatedly is replaced each time."""
    with working(tmp_path) as workers:
        steady = workers.alive()[0]
        for starts in range(3, 8):
            os.kill(workers.started()[-1], signal.SIGKILL)
            workers.wait_for("worker_started", starts)
        assert steady in workers.alive()
        assert "status=SIGKILL" in workers.events("worker_ended")[0]


def test_no_room_for_a_worker(tmp_path: Path) -> None:
    """If the system starts no worker, the log says what to do, and a later try succeeds."""
    with working(tmp_path) as workers:
        supervisor = workers.served.process.pid
        before = resource.prlimit(supervisor, resource.RLIMIT_NOFILE)
        resource.prlimit(supervisor, resource.RLIMIT_NOFILE, (4, before[1]))
        os.kill(workers.alive()[0], signal.SIGKILL)
        workers.wait_for("worker_not_started")
        event = workers.events("worker_not_started")[0]
        assert 'problem="Too many open files; raise the limit of open files' in event
        resource.prlimit(supervisor, resource.RLIMIT_NOFILE, before)
        workers.wait_for("worker_started", 3)
        assert len(workers.alive()) == 2


def test_the_pause_grows_while_a_worker_crashes_at_start() -> None:
    """The pause before a restart grows while a worker crashes early, up to a bound."""
    pauses = RestartBackoff()
    assert [pauses.delay(0, lived=1) for _ in range(5)] == [0, 0.1, 0.2, 0.4, 0.8]
    assert pauses.delay(1, lived=1) == 0
    assert [pauses.delay(0, lived=1) for _ in range(30)][-1] == 10
    assert pauses.delay(0, lived=60) == 0
    assert pauses.delay(0, lived=1) == 0.1


def test_a_reload_greets_anew_while_old_sessions_go_on(tmp_path: Path) -> None:
    """After a reload new clients get the new greeting, and old sessions go on."""
    with working(tmp_path, '[server]\ngreeting = "before"\n') as workers, ExitStack() as stack:
        workers.served.add("ann", "secret", LETTER)
        old = workers.alive()
        first, second = workers.at_each(stack, workers.greeted).values()
        assert log_in(first, "ann") == b"+OK Logged in.\r\n"
        workers.config.write_text('[server]\ngreeting = "after"\n')
        workers.served.process.send_signal(signal.SIGHUP)
        workers.wait_for("reloaded")
        wait_until(lambda: greeting(workers.served.port) == b"+OK after\r\n")
        assert set(old) < set(workers.alive())
        assert first.say("STAT") == b"+OK 1 21\r\n"
        assert first.say("DELE 1").startswith(b"+OK")
        assert first.say("QUIT").startswith(b"+OK")
        assert second.say("QUIT").startswith(b"+OK")
        wait_until(lambda: not set(old) & set(workers.alive()))
        assert len(workers.alive()) == 2
        assert all(greeting(workers.served.port) == b"+OK after\r\n" for _ in range(10))


def greeting(port: int) -> bytes:
    with Client(port) as client:
        return client.read_line()


def test_no_client_is_refused_during_reloads(tmp_path: Path) -> None:
    """Every client is greeted while the server reloads."""
    with working(tmp_path) as workers:
        over = threading.Event()
        greetings: Counter[bytes] = Counter()

        def connect_again_and_again() -> None:
            while not over.is_set():
                with workers.served.connect() as client:
                    greetings[client.read_line()] += 1

        clients = [threading.Thread(target=connect_again_and_again) for _ in range(3)]
        for client in clients:
            client.start()
        try:
            for reloads in range(1, 6):
                workers.served.process.send_signal(signal.SIGHUP)
                workers.wait_for("reloaded", reloads)
        finally:
            over.set()
            for client in clients:
                client.join()
        assert set(greetings) == {b"+OK POP3 server ready.\r\n"}


def test_replaced_sessions_end(tmp_path: Path) -> None:
    """Sessions of replaced workers end after the configured time."""
    with working(tmp_path, "[timeouts]\nreload = 0.1\n") as workers, ExitStack() as stack:
        first, second = workers.at_each(stack, workers.greeted).values()
        workers.served.process.send_signal(signal.SIGHUP)
        assert first.read_all() == b""
        assert second.read_all() == b""
        workers.wait_for("worker_ended", 2)


def test_files_of_the_supervisor(tmp_path: Path) -> None:
    """A worker that has ended leaves no open file in the supervisor."""
    with working(tmp_path) as workers:
        files = Path(f"/proc/{workers.served.process.pid}/fd")
        before = len(os.listdir(files))
        for worker in workers.alive():
            os.kill(worker, signal.SIGKILL)
        workers.wait_for("worker_started", 4)
        wait_until(lambda: len(os.listdir(files)) == before)


def test_reloads_one_after_the_other_come_to_an_end(tmp_path: Path) -> None:
    """Repeated reloads leave a bounded number of workers."""
    with working(tmp_path) as workers, ExitStack() as stack:
        for number in range(6):
            stack.enter_context(workers.greeted())  # which keeps its worker from ending
            workers.config.write_text(f'[server]\ngreeting = "number {number}"\n')
            workers.served.process.send_signal(signal.SIGHUP)
            workers.wait_for("reloaded", number + 1)
        wait_until(lambda: greeting(workers.served.port) == b"+OK number 5\r\n")
        wait_until(lambda: len(workers.alive()) <= 6)


def test_a_reload_with_mistakes_changes_nothing(tmp_path: Path) -> None:
    """A reload with mistakes is logged and changes nothing."""
    with working(tmp_path, '[server]\ngreeting = "before"\n') as workers:
        before = workers.alive()
        write_certificate(tmp_path)
        used = TLS.format(port=workers.served.port)
        for wrong in ("[server]\ngreting = 1\n", "[tls]\nlisten = ['127.0.0.1:0']\n", used):
            known = len(workers.events("not_reloaded"))
            workers.config.write_text(wrong)
            workers.served.process.send_signal(signal.SIGHUP)
            workers.wait_for("not_reloaded", known + 1)
        assert "did you mean greeting" in workers.events("not_reloaded")[0]
        assert "cannot listen at" in workers.events("not_reloaded")[-1]
        assert workers.alive() == before
        assert greeting(workers.served.port) == b"+OK before\r\n"


def test_a_reload_tells_what_wants_a_restart(tmp_path: Path) -> None:
    """A changed setting that requires a restart is logged."""
    with working(tmp_path) as workers:
        workers.config.write_text('[log]\nformat = "json"\n')
        workers.served.process.send_signal(signal.SIGHUP)
        workers.wait_for("reload_is_partial")
        workers.wait_for("reloaded")


def test_a_reload_opens_and_closes_addresses(tmp_path: Path) -> None:
    """A reload opens new addresses and closes removed ones."""
    old, new = free_port(), free_port()
    file = tmp_path / "restante.toml"
    (tmp_path / "users").touch()

    def write(*ports: int) -> None:
        listen = [f"127.0.0.1:{port}" for port in ports]
        file.write_text(
            f"[server]\nlisten = {listen}\nworkers = 2\n"
            '[mail]\nfolder = "."\n[accounts]\nusers = "users"\n'
        )

    def answers(port: int) -> bool:
        try:
            return greeting(port).startswith(b"+OK")
        except (ConnectionRefusedError, ConnectionResetError):  # not accepted before the end
            return False

    write(old)
    log = tmp_path / "log"
    with (
        log.open("wb") as errors,
        subprocess.Popen([POP3, "serve", "--config", file], stderr=errors) as process,
    ):
        try:
            wait_until(lambda: answers(old))
            wait_until(lambda: "event=listening" in log.read_text())
            for ports, gone in (((old, new), 0), ((new,), old)):
                write(*ports)
                process.send_signal(signal.SIGHUP)
                wait_until(lambda ports=ports: all(map(answers, ports)))  # type: ignore[misc]
                wait_until(lambda gone=gone: not gone or not answers(gone))  # type: ignore[misc]
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()


def test_port_in_use(tmp_path: Path) -> None:
    """A port in use is reported before workers start."""
    with working(tmp_path) as workers:
        listen = f"127.0.0.1:{workers.served.port}"
        said = subprocess.run(
            [POP3, "serve", "--listen", listen, "--workers", "2",
             "--mail", workers.served.mail, "--users", workers.served.users],
            capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
        assert said.returncode == 1
        assert f"cannot listen at {listen}" in said.stderr
        assert "worker_started" not in said.stderr
        assert all(map(runs, workers.alive()))


LIVING = """
import contextlib, os, pathlib, sys

from restante.server import app
from restante.server.composition import components
from restante.server.config import loader
from restante.storage.errors import StoreError
from restante.storage.memory import MemoryStore


def note(word):
    os.write(1, f"{word} {os.getpid()}\\n".encode())


class Store(MemoryStore):
    @contextlib.asynccontextmanager
    async def open(self):
        if "broken" in sys.argv:
            raise StoreError("the schema is newer than this program", permanent=True)
        note("opened")
        yield
        note("closed")


components.build_store = lambda config, log: Store()
config = loader.load(pathlib.Path(sys.argv[1]), {})
app.run(config, lambda _: note("ready"))
"""


def living(folder: Path, workers: int, *words: str) -> subprocess.Popen[str]:
    """Run a server with a store that must be opened; it prints when that happens."""
    (folder / "users").write_text("ann:!\n")
    file = folder / "restante.toml"
    file.write_text(
        f'[server]\nlisten = ["127.0.0.1:{free_port()}"]\nworkers = {workers}\n'
        f'[mail]\nfolder = "{folder}"\n[accounts]\nusers = "{folder}/users"\n'
    )
    return subprocess.Popen(
        [sys.executable, "-c", LIVING, str(file), *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.parametrize("workers", [1, 2])
def test_store_is_opened_in_each_process_that_serves(tmp_path: Path, workers: int) -> None:
    """A store opens after the fork and before the server is ready, and closes at its end. Before
    the fork the server opens it for a moment, to see that it can.
    """
    before = []
    with living(tmp_path, workers) as server:
        assert server.stdout
        for line in server.stdout:
            before.append(line.split())
            if before[-1][0] == "ready":
                break
        server.send_signal(signal.SIGTERM)
        after = [line.split() for line in server.stdout]
        assert server.stderr
        server.stderr.read()
    supervisor = str(server.pid)
    checked = [["opened", supervisor], ["closed", supervisor]] if workers > 1 else []
    opened = [pid for _, pid in before[len(checked) : -1]]
    assert before == [*checked, *(["opened", pid] for pid in opened), ["ready", supervisor]]
    assert len(set(opened)) == workers
    assert (supervisor in opened) == (workers == 1)
    assert sorted(after) == sorted(["closed", pid] for pid in opened)
    assert server.returncode == 0


def test_store_that_an_administrator_must_repair(tmp_path: Path) -> None:
    """A server whose store cannot be opened ends, and says why."""
    with living(tmp_path, 1, "broken") as server:
        _, errors = server.communicate(timeout=PATIENCE)
    assert server.returncode != 0
    assert "the mail store cannot be opened: the schema is newer" in errors
