"""The auth socket as a file, from its opening to its end."""

from __future__ import annotations

import io
import socket
import stat
from pathlib import Path

import pytest

from restante.server.auth_socket.listener import AuthSocketListener
from restante.server.config.account_sections import AuthSocketSection
from restante.server.context import ServerContext
from restante.server.listener import ListenError
from restante.server.log import event_log
from restante.storage.memory import MemoryStore
from support.live import PATIENCE
from support.passwords import Passwords
from support.thread import Stage, in_thread

OWN_GROUP = AuthSocketSection(mode="0600")


def listener(path: Path, settings: AuthSocketSection = OWN_GROUP) -> AuthSocketListener:
    return AuthSocketListener(settings=settings, path=path, clear_text="loopback", stop_patience=1)


def test_socket(tmp_path: Path) -> None:
    """A program gets the greeting and the name of its user, and the file goes at the end."""
    path = tmp_path / "auth"
    made = listener(path)
    lines = io.StringIO()

    async def run(stage: Stage[None]) -> None:
        log, writer = event_log.configure_log("text", lines)
        accounts = Passwords()
        accounts.known["ann"] = "secret"
        context = ServerContext(store=MemoryStore(), authenticator=accounts, log=log)
        async with made.serve(made.open(), context):
            await stage.show(None)
        made.close()
        writer.close()

    with in_thread(run), socket.socket(socket.AF_UNIX) as client:
        assert stat.filemode(path.stat().st_mode) == "srw-------"
        client.settimeout(PATIENCE)
        client.connect(str(path))
        with client.makefile("rwb") as file:
            greeting = list(iter(file.readline, b"DONE\n"))
            assert greeting[0] == b"VERSION\t1\t1\n"
            assert b"MECH\tPLAIN\tplaintext\n" in greeting
            file.write(b"VERSION\t1\t0\nCPID\t1\nAUTH\t1\tPLAIN\tsecured\tresp=AGFubgBzZWNyZXQ=\n")
            file.flush()
            assert file.readline() == b"OK\t1\tuser=ann\n"
    assert not path.exists()
    assert f"event=listening address=unix:{path} way=auth" in lines.getvalue()


def test_path_in_use(tmp_path: Path) -> None:
    """A file that is not a socket, or a group that does not exist, is an error with its place."""
    path = tmp_path / "auth"
    path.touch()
    with pytest.raises(ListenError, match=f"{path}: it is not a socket; choose another path"):
        listener(path).open()
    path.unlink()
    with pytest.raises(ListenError, match="no-such-group"):
        listener(path, AuthSocketSection(group="no-such-group")).open()
    assert not path.exists()
