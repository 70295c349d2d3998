"""The control sockets, with the commands that use them."""

from __future__ import annotations

import asyncio
import functools
import json
import os
import re
import select
import signal
import socket
import stat
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from click.testing import CliRunner

from restante.cli.main import main
from restante.server.config.loader import ConfigError
from restante.server.config.server_sections import ControlSection
from restante.server.context import ServerContext
from restante.server.control import asking
from restante.server.control import service as control_service
from restante.server.control.messages import Action, ControlRequest
from restante.server.control.service import (
    AT_ONCE,
    ControlService,
    make_control_protocol,
    prepare_folder,
)
from restante.server.log.loggers import SILENT
from restante.storage.memory import MemoryStore
from support.clocked_server import clocked
from support.command import Ran, pop3
from support.live import wait_until
from support.passwords import Passwords
from support.process import Served, serving
from support.workers import Workers, log_in, working

CONFIG = '[control]\nfolder = "control"\n'


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A server of one process, with a control socket."""
    file = tmp_path / "restante.toml"
    file.write_text(CONFIG)
    with serving(tmp_path, "--config", file) as server:
        server.add("ann", "secret", b"Subject: a\n\nhello\n")
        yield server


def ask(place: Path, command: str, *arguments: str) -> Ran:
    return pop3(command, *arguments, "--control", place / "control")


def rows(place: Path) -> list[dict[str, object]]:
    ran = ask(place, "sessions", "--json")
    assert ran.code == 0, ran.err
    return [json.loads(line) for line in ran.out.splitlines()]


def send(place: Path, octets: bytes) -> bytes:
    """Return what a control socket answers, b"" if it closes the connection."""
    (file,) = (place / "control").glob("*.sock")
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(os.fspath(file))
        try:
            client.sendall(octets)
            return client.makefile("rb").readline()
        except ConnectionError:  # it was closed before these octets were read
            return b""


def test_sessions(served: Served, tmp_path: Path) -> None:
    """`pop3 sessions` shows user, address, times, state, octets, worker and id of each session."""
    with served.connect() as client, served.connect() as other:
        client.log_in("ann", "secret")
        other.read_line()
        before, session = sorted(rows(tmp_path), key=lambda row: str(row["user"]))
        assert (before["user"], before["state"], before["messages"]) == ("", "authorization", None)
        assert session["user"] == "ann"
        assert session["address"] == "127.0.0.1"
        assert (session["state"], session["messages"]) == ("transaction", 1)
        assert session["worker"] == served.process.pid
        assert session["octets_in"] == len("USER ann\r\nPASS secret\r\n")
        text = ask(tmp_path, "sessions").out.splitlines()
        assert text[0].split()[:4] == ["user", "address", "since", "idle"]
        assert str(session["session"]) in text[1] + text[2]
    wait_until(lambda: f"session={session['session']}" in served.log.read_text())


@pytest.mark.parametrize("who", ["ann", "127.0.0.1", "id"])
def test_kick(served: Served, tmp_path: Path, who: str) -> None:
    """`pop3 kick` ends the sessions of a user or an address, or one by its id; nothing is lost."""
    with served.connect() as client:
        client.log_in("ann", "secret")
        client.say("DELE 1")
        name = str(rows(tmp_path)[0]["session"]) if who == "id" else who
        ran = ask(tmp_path, "kick", name)
        assert (ran.code, ran.out) == (0, "Ended 1 session.\n")
        assert client.read_all() == b""
    wait_until(lambda: 'end="ended by an administrator"' in served.log.read_text())
    assert len(list((served.mail / "ann").rglob("*.test*"))) == 1
    kicked = rf"event=kicked .* by={os.geteuid()} session=\w+"
    wait_until(lambda: re.search(kicked, served.log.read_text()))
    ran = ask(tmp_path, "kick", name)
    assert (ran.code, ran.out) == (1, "Ended 0 sessions.\n")


def test_kick_from_the_junk_maildrop(tmp_path: Path) -> None:
    """The name of a junk maildrop ends its session alone, and `pop3 sessions` shows which it is."""
    file = tmp_path / "restante.toml"
    file.write_text(CONFIG + '[mail]\nfolder = "mail"\njunk = ".Junk"\n')
    with serving(tmp_path, "--config", file) as served:
        served.add("ann", "secret")
        with served.connect() as inbox, served.connect() as junk:
            inbox.log_in("ann", "secret")
            junk.log_in("ann+junk", "secret")
            assert {row["junk"] for row in rows(tmp_path)} == {False, True}
            assert "ann (junk)" in ask(tmp_path, "sessions").out
            assert ask(tmp_path, "kick", "ann+junk").out == "Ended 1 session.\n"
            assert junk.read_all() == b""
            inbox.say("NOOP")
            assert ask(tmp_path, "kick", "ann").out == "Ended 1 session.\n"


def test_kick_of_a_session_that_ends() -> None:
    """A session whose client has not read its last reply yet is ended, and counted, once."""
    with clocked() as server:
        service = ControlService(server.context)
        peer = server.connect()
        peer.say(b"USER ann\r\nPASS secret\r\n")
        peer.unsent = 100

        def kick() -> int:
            request = ControlRequest(action=Action.KICK, who="ann")
            return len(server.loop.run_until_complete(service.answer(request)).sessions)

        assert (kick(), peer.closed, kick()) == (1, False, 0)
        assert server.log.getvalue().count("event=kicked") == 1


def test_status(served: Served, tmp_path: Path) -> None:
    """`pop3 status` shows each process, what it serves, and where it listens."""
    with served.connect() as client:
        client.log_in("ann", "secret")
        ran = ask(tmp_path, "status", "--json")
        found = json.loads(ran.out)
        assert (found["worker"], found["connections"], found["sessions"]) == (
            served.process.pid, 1, 1,
        )  # fmt: skip
        assert found["listeners"] == [{"service": "pop3", "address": f"127.0.0.1:{served.port}"}]
        assert f"pop3 listens at 127.0.0.1:{served.port}\n" in ask(tmp_path, "status").out


SERVICES = """
[delivery]
lmtp = "lmtp"
smtp = "127.0.0.1:0"
[auth_socket]
path = "auth"
[metrics]
listen = "metrics"
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_status_of_all_services(tmp_path: Path, workers: int) -> None:
    """`pop3 status` shows where each service listens, once for all processes."""
    with working(tmp_path, CONFIG + SERVICES, workers):
        text = ask(tmp_path, "status").out
        assert sorted(re.findall(r"(?m)^(\w+) listens", text)) == [
            "auth", "lmtp", "metrics", "pop3", "smtp"
        ]  # fmt: skip
        assert f"auth listens at unix:{tmp_path / 'auth'}\n" in text
        assert re.search(r"(?m)^smtp listens at 127\.0\.0\.1:[1-9]", text)


def test_socket_belongs_to_its_user(served: Served, tmp_path: Path) -> None:
    """Only root and the user of the server can connect; at the end the socket is removed."""
    folder = tmp_path / "control"
    (file,) = folder.iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert served.stop() == 0
    assert list(folder.iterdir()) == []
    ran = ask(tmp_path, "sessions")
    assert (ran.code, ran.err) == (
        1, f"Error: no server answers in {folder}; start `pop3 serve`\n",
    )  # fmt: skip


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"{\n",
        b"[]\n",
        b'{"action":"x"}\n',
        b"x" * 5000,
        b"\xff\xfe\n",
        b'{"action":"kick","who":"\xff"}\n',
        b'{"action":"kick","x":' + b"[" * 4000 + b"\n",
    ],
)
def test_invalid_requests_are_answered_or_cut_off(
    served: Served, tmp_path: Path, line: bytes
) -> None:
    """An invalid request changes nothing, and the next one is answered."""
    answer = send(tmp_path, line)
    assert answer == b"" or "invalid" in json.loads(answer)["error"]
    assert rows(tmp_path) == []
    assert "incident" not in served.log.read_text()


def test_silent_connections_are_bounded(served: Served, tmp_path: Path) -> None:
    """Connections that send nothing are few, and hold back no other for long."""
    (file,) = (tmp_path / "control").glob("*.sock")
    assert served.process.poll() is None
    with ExitStack() as stack:
        for _ in range(AT_ONCE):
            one = stack.enter_context(socket.socket(socket.AF_UNIX))
            one.connect(os.fspath(file))
        assert send(tmp_path, b'{"action":"status"}\n') == b""
    wait_until(lambda: send(tmp_path, b'{"action":"status"}\n'))


def test_process_that_starts(served: Served, tmp_path: Path) -> None:
    """A process with a socket that does not listen yet keeps it, and is not called silent."""
    file = tmp_path / "control" / f"{os.getpid()}.sock"
    with socket.socket(socket.AF_UNIX) as starting:
        starting.bind(os.fspath(file))
        ran = ask(tmp_path, "sessions")
    assert (ran.code, ran.err, file.exists()) == (0, "", True)


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Workers]:
    """A server of two workers, with control sockets."""
    with working(tmp_path, CONFIG) as workers:
        workers.served.add("ann", "secret")
        workers.served.add("bob", "secret")
        yield workers


def test_workers(two: Workers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All workers are asked; one that hangs is named, one that was killed is forgotten."""
    monkeypatch.setattr(asking, "PATIENCE", 1)
    with ExitStack() as stack:
        found = two.at_each(stack, two.greeted)
        (first, ann), (second, bob) = found.items()
        log_in(ann, "ann")
        log_in(bob, "bob")
        shown = {(row["user"], row["worker"]) for row in rows(tmp_path)}
        assert shown == {("ann", first), ("bob", second)}
        os.kill(first, signal.SIGSTOP)
        try:
            words = ["sessions", "--control", str(tmp_path / "control")]
            ran = CliRunner().invoke(main, words)
            assert (ran.exit_code, "bob" in ran.stdout) == (1, True)
            assert (
                ran.stderr == f"Process {first} does not answer; its sessions are missing here.\n"
            )
        finally:
            os.kill(first, signal.SIGKILL)
        wait_until(lambda: first not in two.alive() and len(two.alive()) == 2)
        assert ask(tmp_path, "kick", "bob").out == "Ended 1 session.\n"
        assert bob.read_all() == b""
        assert not (tmp_path / "control" / f"{first}.sock").exists()


def test_control_folder_that_is_none(tmp_path: Path) -> None:
    """An error at the control folder has its own cause, not that of a missing one."""
    file = tmp_path / "control"
    file.touch()
    ran = CliRunner().invoke(main, ["sessions", "--control", str(file)])
    assert ran.exit_code != 0
    assert f"{file}: Not a directory" in ran.stderr


def test_program_that_does_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that does not read its answer is disconnected, however long the answer is."""
    monkeypatch.setattr(control_service, "PATIENCE", 0.1)
    here, there = socket.socketpair()
    there.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)  # the kernel takes a little
    ends = select.poll()
    ends.register(here, 0)

    async def serve() -> None:
        context = ServerContext(store=MemoryStore(), authenticator=Passwords(), log=SILENT)
        service = ControlService(context)
        server = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1")
        context.listening.append(("long" * 20_000, server))
        connect = functools.partial(make_control_protocol, service)
        await asyncio.get_running_loop().connect_accepted_socket(connect, there)
        here.send(b'{"action":"status"}\n')
        await asyncio.to_thread(wait_until, lambda: ends.poll(0))
        server.close()

    with here:
        asyncio.run(serve())


def test_status_of_a_worker_that_finishes(two: Workers, tmp_path: Path) -> None:
    """After a reload, a worker that only has sessions to finish is shown, without an address."""
    with two.greeted() as client:
        old = two.pid_of(client)
        two.served.process.send_signal(signal.SIGHUP)
        two.wait_for("reloaded")
        two.wait_for("worker_ended")
        ran = ask(tmp_path, "status", "--json")
        shown = {row["worker"]: row for row in map(json.loads, ran.out.splitlines())}
        assert shown.keys() == set(two.alive())
        assert (shown[old]["connections"], shown[old]["listeners"]) == (1, [])
        assert "incident" not in two.served.log.read_text()


@pytest.mark.parametrize("workers", [1, 2])
def test_stop_during_a_request(tmp_path: Path, workers: int) -> None:
    """A program that is connected when the server stops leaves no incident in the log."""
    with ExitStack() as stack:
        running = stack.enter_context(working(tmp_path, CONFIG, workers))
        folder = tmp_path / "control"
        wait_until(lambda: len(list(folder.glob("*.sock"))) == workers)
        for file in folder.glob("*.sock"):
            client = stack.enter_context(socket.socket(socket.AF_UNIX))
            client.connect(os.fspath(file))
            client.send(b"{")
        assert running.served.stop() == 0
        assert "incident" not in running.served.log.read_text()


def test_kick_of_no_name(served: Served, tmp_path: Path) -> None:
    """An empty name ends no session, also not those without a user. An address may be mapped."""
    with served.connect() as client:
        client.read_line()
        request = ControlRequest(action=Action.KICK)
        (reply,) = asyncio.run(asking.ask_all(tmp_path / "control", request, 30)).received
        assert reply.sessions == []
        assert client.say("CAPA").startswith(b"+OK")
        assert ask(tmp_path, "kick", "::ffff:127.0.0.1").out == "Ended 1 session.\n"


def test_link_of_others(tmp_path: Path) -> None:
    """A link that another user has made is rejected: the mode of its target would change."""
    if os.geteuid() != 0:
        pytest.skip("root: a test of links makes one for another user")
    (tmp_path / "target").mkdir(0o755)
    link = tmp_path / "link"
    link.symlink_to("target")
    prepare_folder(ControlSection(folder=link))
    (tmp_path / "target").chmod(0o755)
    os.chown(link, 65534, 65534, follow_symlinks=False)
    with pytest.raises(ConfigError, match="another user"):
        prepare_folder(ControlSection(folder=link))
    assert stat.S_IMODE((tmp_path / "target").stat().st_mode) == 0o755


def test_folder_of_others(tmp_path: Path) -> None:
    """A folder in which other users can put sockets is a mistake of the configuration."""
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(ConfigError, match="another user can write to it"):
        prepare_folder(ControlSection(folder=folder))
    with pytest.raises(ConfigError, match="there is no group nobody-here"):
        prepare_folder(ControlSection(folder=tmp_path / "new", group="nobody-here"))


def test_folder_without_room_for_a_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder in which no worker could make its socket is a mistake, before there are workers."""
    with pytest.raises(ConfigError, match=r"octets; choose a shorter name$"):
        prepare_folder(ControlSection(folder=tmp_path / ("x" * 100)))
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    with pytest.raises(ConfigError, match=r"change its owner or its permissions$"):
        prepare_folder(ControlSection(folder=tmp_path / "new"))
