"""The real server, or a real delivery, in a child of this process that the shim watches."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import signal
import socket
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from faults.shim import Plan, Shim
from faults.stores import OWNER
from structlog.typing import FilteringBoundLogger

from restante.server import observe
from restante.server.connection import Connection
from restante.server.run import _loop_factory
from restante.server.service import Service
from restante.storage.api import Store, StoreError
from support.live import PATIENCE, Passwords

PASSWORD = "secret"

SETTLE = b"s"  # a server reports when all sessions are over, and goes on
STOP = b"x"  # ... and ends
AGAIN = b"a"  # a delivery is tried once more


@dataclass
class Child:
    """A child that runs, and the socket on which it says how it went."""

    pid: int
    control: socket.socket
    address: bytes | str = ""

    def connect(self) -> socket.socket:
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(PATIENCE)
        client.connect(self.address)
        return client

    def report(self) -> dict[str, Any] | None:
        """Return the next thing that it says, None when it was killed."""
        with contextlib.suppress(ConnectionResetError):
            line = self.control.makefile("rb").readline()
            if line.endswith(b"\n"):
                return dict(json.loads(line))
        return None

    def ask(self, what: bytes) -> dict[str, Any] | None:
        """Tell it to do something, and return what it says then."""
        with contextlib.suppress(BrokenPipeError):
            self.control.send(what)
        return self.report()

    def end(self) -> None:
        """End it, where no fault did so yet: what it had to do is done."""
        self.control.close()
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


@contextlib.contextmanager
def serving(shim: Shim, root: Path, plan: Plan, store: Callable[[Path], Store]) -> Iterator[Child]:
    """Serve the mail below a folder while the block runs, and let what is planned befall it."""
    shim.plan(root, plan)
    listener = _listener()
    with _child(lambda control: _serve(shim, listener, control, store(root))) as child:
        child.address = listener.getsockname()
        listener.close()
        yield child


@contextlib.contextmanager
def serving_anew(root: Path, store: Callable[[Path], Store]) -> Iterator[Child]:
    """Serve the mail below a folder in one child, but each connection as by a fresh server."""
    listener = _listener()
    with _child(lambda _: _serve_anew(listener, lambda: store(root))) as child:
        child.address = listener.getsockname()
        listener.close()
        yield child


def _listener() -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind("")  # the kernel finds a name, which is in no folder
    listener.listen()
    return listener


@contextlib.contextmanager
def delivering(
    shim: Shim, root: Path, plan: Plan, store: Callable[[Path], Store], message: bytes
) -> Iterator[Child]:
    """Deliver a message, and once more each time that it failed and the parent says so."""
    shim.plan(root, plan)
    with _child(lambda control: _deliver(shim, control, store(root), message)) as child:
        yield child


@contextlib.contextmanager
def _child(work: Callable[[socket.socket], NoReturn]) -> Iterator[Child]:
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        try:
            ours.close()
            work(theirs)
        except BaseException:  # noqa: BLE001  # whatever it is, this is a child
            traceback.print_exc()
        finally:
            os._exit(1)
    theirs.close()
    ours.settimeout(PATIENCE)
    child = Child(pid, ours)
    try:
        yield child
    finally:
        child.end()


def _serve(
    shim: Shim, listener: socket.socket, control: socket.socket, store: Store
) -> NoReturn:
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_sessions(shim, listener, control, store))
    os._exit(0)


async def _sessions(
    shim: Shim, listener: socket.socket, control: socket.socket, store: Store
) -> None:
    log, writer = observe.start("text", lines := io.StringIO())
    service = _service(store, log)
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: lines.write(f"incident {context}\n"))
    server = await loop.create_unix_server(lambda: Connection(service), sock=listener)
    control.setblocking(False)  # noqa: FBT003  # a socket's own way
    shim.arm()
    while await loop.sock_recv(control, 1) == SETTLE:
        while service.connections or service._background:
            await asyncio.sleep(0.001)
        await loop.sock_sendall(control, b"{}\n")
    server.close()
    await service.stop(PATIENCE)
    writer.close()
    left = [link for link in _open_files() if link.startswith(shim.root)]
    report = json.dumps({"log": lines.getvalue(), "left": left})
    await loop.sock_sendall(control, report.encode() + b"\n")


def _service(store: Store, log: FilteringBoundLogger) -> Service:
    passwords = Passwords()
    passwords.known[OWNER] = PASSWORD
    return Service(store=store, authenticator=passwords, log=log, lock_patience=0)


def _serve_anew(listener: socket.socket, store: Callable[[], Store]) -> NoReturn:
    """Serve each connection as a server that has just started, until the parent ends."""

    async def run() -> None:
        log, _ = observe.start("text", io.StringIO())
        await asyncio.get_running_loop().create_unix_server(
            lambda: Connection(_service(store(), log)), sock=listener
        )
        await asyncio.Event().wait()

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(run())
    os._exit(0)


def _open_files() -> Iterator[str]:
    for descriptor in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            yield os.readlink(f"/proc/self/fd/{descriptor}")


def _deliver(shim: Shim, control: socket.socket, store: Store, message: bytes) -> NoReturn:
    with asyncio.Runner() as runner:
        shim.watch(control.fileno())
        shim.arm()
        while True:
            said = {"uid": "", "error": ""}
            try:
                said["uid"] = runner.run(store.deliver(OWNER, message))
            except StoreError as error:
                said["error"] = str(error)
            said["left"] = " ".join(link for link in _open_files() if link.startswith(shim.root))
            control.sendall(json.dumps(said).encode() + b"\n")
            if not control.recv(1):
                os._exit(0)
