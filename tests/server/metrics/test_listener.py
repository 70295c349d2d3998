"""Metrics and health of the real command: in one process, with workers, at a Unix socket."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
from pathlib import Path

from restante.server.config.server_sections import MetricsSection
from restante.server.context import ServerContext
from restante.server.log import event_log
from restante.server.metrics import catalogue
from restante.server.metrics.listener import MetricsListener
from restante.server.metrics.memory import MetricMemory
from restante.server.metrics.recorder import Recorder
from restante.storage.interfaces import StoreFigures
from restante.storage.memory import MemoryStore
from support.http_requests import ask, numbers
from support.live import PATIENCE, wait_until
from support.passwords import Passwords
from support.process import free_port, serving
from support.workers import log_in, working

QUIT = 'restante_connections_total{end="quit"}'
LOGINS = 'restante_logins_total{mechanism="password",service="pop3",tls="none"}'


def config(listen: object) -> str:
    return f'[metrics]\nlisten = "{listen}"\n'


def test_one_process(tmp_path: Path) -> None:
    """Sessions are counted while they are open, and after that."""
    port = free_port()
    (tmp_path / "restante.toml").write_text(config(f"127.0.0.1:{port}"))
    with serving(tmp_path, "--config", tmp_path / "restante.toml") as served:
        served.add("ann", "secret", b"Subject: a\r\n\r\nhello\r\n")
        with served.connect() as client:
            client.log_in("ann", "secret")
            client.say("RETR 1")
            client.read_lines()
            found = numbers(ask(port, "/metrics").body)
            assert (found["restante_open_sessions"], found["restante_open_connections"]) == (1, 1)
            client.say("QUIT")
        wait_until(lambda: numbers(ask(port, "/metrics").body)[QUIT] == 1)
        found = numbers(ask(port, "/metrics").body)
        assert found["restante_open_sessions"] == 0
        assert found[LOGINS] == 1
        assert found["restante_messages_retrieved_total"] == 1
        assert found["restante_login_seconds_count"] == 1
        assert found["restante_maildrop_open_seconds_count"] == 1
        assert ask(port, "/livez").body == "alive\n"
        assert ask(port, "/readyz").body == "ready\n"
    assert f"event=listening address=127.0.0.1:{port} way=metrics" in served.log.read_text()


def test_workers(tmp_path: Path) -> None:
    """A killed worker and a reload leave all counts as they were; the sums are of all workers."""
    port = free_port()
    with working(tmp_path, config(f"127.0.0.1:{port}")) as workers:
        workers.served.add("ann", "secret")

        def poll(times: int) -> None:
            for _ in range(times):
                with workers.greeted() as client:
                    assert log_in(client, "ann").startswith(b"+OK")
                    client.say("QUIT")

        def wait_for(series: str, number: int) -> None:
            wait_until(lambda: numbers(ask(port, "/metrics").body)[series] == number)

        poll(4)
        wait_for(QUIT, 4)
        with workers.greeted() as client:
            log_in(client, "ann")
            wait_for("restante_open_sessions", 1)
            os.kill(workers.pid_of(client), signal.SIGKILL)
            workers.wait_for("worker_ended")
        wait_for("restante_open_sessions", 0)
        wait_for("restante_worker_restarts_total", 1)
        wait_for("restante_workers", 2)
        workers.served.process.send_signal(signal.SIGHUP)
        workers.wait_for("reloaded")
        wait_for("restante_workers", 2)
        poll(2)
        wait_for(QUIT, 6)
        wait_for(LOGINS, 7)


def test_reload(tmp_path: Path) -> None:
    """A client that a reload meets before its request has its answer."""
    port = free_port()
    with working(tmp_path, config(f"127.0.0.1:{port}")) as workers:
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
            wait_until(lambda: bool(workers.pids_with(client)))
            workers.served.process.send_signal(signal.SIGHUP)
            workers.wait_for("worker_ended")  # the other one has nothing to finish
            client.sendall(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
            answer = client.makefile("rb").read()
        assert answer.startswith(b"HTTP/1.1 200 "), answer
        workers.wait_for("worker_ended", 2)


def test_unix_socket(tmp_path: Path) -> None:
    """A Unix socket has the mode of the configuration, and is removed in the end."""
    file = tmp_path / "metrics"
    text = config("metrics") + 'socket_mode = "0600"\n'
    (tmp_path / "restante.toml").write_text(text)
    with serving(tmp_path, "--config", tmp_path / "restante.toml") as served:
        served.add("ann", "secret")
        assert file.stat().st_mode & 0o777 == 0o600
        assert ask(file, "/readyz").status == 200
        served.stop()
    assert not file.exists()


def test_what_cannot_be_used(tmp_path: Path) -> None:
    """Without its accounts, or without its mail folder, the server is not ready."""
    port = free_port()
    (tmp_path / "restante.toml").write_text(config(f"127.0.0.1:{port}"))
    with serving(tmp_path, "--config", tmp_path / "restante.toml") as served:
        served.users.unlink()
        wait_until(lambda: ask(port, "/readyz").status == 503)
        assert ask(port, "/readyz").body == "the accounts cannot be used\n"
        shutil.rmtree(served.mail)
        wait_until(lambda: "the mail store cannot be used\n" in ask(port, "/readyz").body)
        wait_until(lambda: 'event=not_ready part="the accounts"' in served.log.read_text())
        assert ask(port, "/livez").status == 200
        served.mail.mkdir()
        served.add("ann", "secret")
        wait_until(lambda: ask(port, "/readyz").status == 200)


class Cluster(MemoryStore):
    """A store in memory with the figures of a cluster."""

    def figures(self) -> StoreFigures:
        return StoreFigures(leases=4, used=3, idle=2, down=1)


def test_cluster(tmp_path: Path) -> None:
    """The figures of a cluster are those of each process, and their sums."""
    file, memory = tmp_path / "metrics", MetricMemory(2)
    memory.bind_process(1)
    memory.put(catalogue.CLUSTER_LEASES, number=10)
    memory.bind_process(0)
    settings = MetricsSection(listen=str(file))
    listener = MetricsListener(settings=settings, recorder=Recorder(memory))
    log, _ = event_log.configure_log("text", threaded=False)
    context = ServerContext(store=Cluster(), authenticator=Passwords(), log=log)

    async def run() -> str:
        async with listener.serve(context, []):
            return (await asyncio.to_thread(ask, file, "/metrics")).body

    with contextlib.closing(listener):
        listener.open()
        found = numbers(asyncio.run(run()))
    assert found["restante_cluster_leases"] == 14
    assert found['restante_cluster_connections{state="used"}'] == 3
    assert found['restante_cluster_connections{state="idle"}'] == 2
    assert found["restante_cluster_databases_down"] == 1
