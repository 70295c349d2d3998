"""The real server in a child of this process, which the shim watches and may kill."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import io
import itertools
import json
import os
import shutil
import signal
import socket
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from delivery.door import Known
from faults.shim import Shim
from faults.stores import OWNER
from restante.delivery.listener import DeliveryListener
from restante.delivery.quota import QuotaDelivery
from restante.protocol.server.session import EndReason
from restante.quota import Quota
from restante.server.config.mail_sections import DeliverySection
from restante.server.connection.administered import AdministeredConnection
from restante.server.connection.connection import Connection
from restante.server.context import ServerContext
from restante.server.log import event_log
from restante.server.system.process import loop_factory
from restante.storage.errors import PartlyExpiredError, StoreError
from restante.storage.interfaces import Expires, LockedMaildrop, Store
from restante.storage.quota import KeepsQuota
from restante.storage.removals import KeepsDeleted
from support.live import PATIENCE
from support.passwords import Passwords

PASSWORD = "secret"
WATCHED = ("deliver", "undelete", "expire")
"""Orders whose reports are answers to a client."""

_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


class Child:
    """A child that serves the mail below a folder, until it is killed or ended.

    It executes orders, each answered by a report: `new` makes it a server that has just started,
    `settle` waits for the end of all sessions, `kick` ends them as an administrator does, `deliver`
    delivers a message, `undelete` restores all that is kept, `expire` removes what is a day old,
    and `look` says what is in the log, which files are open and how many sessions there are.
    `anew`: each connection meets a server that has just started.

    Options of orders hold from then on: with `take_over`, a login ends an idle session; `most` is
    the number of messages that a maildrop may have, in which the oldest ones make room.
    """

    def __init__(
        self,
        root: Path,
        store: Callable[[Path], Store],
        shim: Shim | None = None,
        *,
        anew: bool = False,
    ) -> None:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind("")  # the kernel finds a name, which is in no folder
        listener.listen()
        self._door = Path(tempfile.mkdtemp()) / "lmtp"
        mail = DeliveryListener(
            settings=DeliverySection(lmtp=str(self._door)),
            recipients=lambda _store, _accounts: Known(OWNER),
        )
        doors = mail.open()
        self._control, theirs = socket.socketpair()
        self._control.settimeout(PATIENCE)
        self._reports = self._control.makefile("rb")
        self._address = listener.getsockname()
        self._pid = os.fork()
        if self._pid == 0:
            self._control.close()
            _run(lambda: Host(root, store, shim, Doors(theirs, listener, mail, doors), anew=anew))
        for opened in (listener, *doors):
            opened.close()
        theirs.close()

    def connect(self) -> socket.socket:
        """Return a connection to the server. Raises ConnectionRefusedError: it was killed."""
        return self._connect(self._address)

    def connect_lmtp(self) -> socket.socket:
        """Return a connection to where mail comes in. Raises ConnectionRefusedError."""
        return self._connect(str(self._door))

    def _connect(self, address: str | bytes) -> socket.socket:
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(PATIENCE)
        client.connect(address)
        return client

    def ask(self, order: str, message: bytes = b"", **options: Any) -> dict[str, Any] | None:
        """Give an order and return the report; None when the child was killed meanwhile."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.give(order, message, **options)
            line = self._reports.readline()
            if line.endswith(b"\n"):
                return dict(json.loads(line))
        return None

    def give(self, order: str, message: bytes = b"", **options: Any) -> None:
        """Give an order, and wait for nothing."""
        text = json.dumps({"order": order, "message": message.decode("latin-1"), **options})
        self._control.sendall(text.encode() + b"\n")

    def end(self) -> None:
        """Kill it, where no fault did so, and wait until it is gone."""
        self._reports.close()
        self._control.close()
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        shutil.rmtree(self._door.parent)


@dataclass(frozen=True)
class Doors:
    """Where orders, clients and mail come in."""

    control: socket.socket
    pop3: socket.socket
    mail: DeliveryListener
    lmtp: Sequence[socket.socket]


class Host:
    """The inside of a child."""

    def __init__(
        self,
        root: Path,
        store: Callable[[Path], Store],
        shim: Shim | None,
        doors: Doors,
        *,
        anew: bool,
    ) -> None:
        self._root = root
        self._anew = anew
        self._store = store
        self._shim = shim
        self._doors = doors
        self._lines = io.StringIO()
        event_log.PAUSE = 0  # the lines are asked for after each fault
        self._log, _ = event_log.configure_log("text", self._lines)
        self._reports = itertools.count()
        self._take_over = False
        self._most: int | None = None
        self._service = self._new()

    async def run(self) -> None:
        """Serve, and obey."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, seen: self._lines.write(f"event=incident {seen}\n"))
        server = await loop.create_unix_server(self._connection, sock=self._doors.pop3)
        orders, _ = await asyncio.open_connection(sock=self._doors.control.dup(), limit=2**24)
        context = ServerContext(store=self, authenticator=Passwords(), log=self._log)
        async with self._doors.mail.serve(self._doors.lmtp, context):
            await self._obey_all(orders)
        server.close()  # until here: uvloop forgets a server without a reference

    async def deliver(self, owner: str, message: bytes) -> str:
        """Put a message into the current store, for the LMTP server and for an order."""
        store = self._service.store
        if self._most is None:
            return await store.deliver(owner, message)
        assert isinstance(store, KeepsQuota)
        quotas = QuotaDelivery(
            store=store,
            accounts=Passwords(),
            log=self._log,
            default=Quota(messages=self._most),
            policy="remove-oldest",
        )
        return await quotas.deliver(owner, message)

    async def acquire(self, owner: str, patience: float) -> LockedMaildrop:
        """Open a maildrop of the store that there is now."""
        return await self._service.store.acquire(owner, patience)

    async def _obey_all(self, orders: asyncio.StreamReader) -> None:
        if self._shim is not None:
            self._shim.arm()
        while line := await orders.readline():
            order = json.loads(line)
            self._take_over = order.get("take_over", self._take_over)
            self._most = order.get("most", self._most)
            report = await self._handle_signals(order["order"], order["message"].encode("latin-1"))
            self._say(json.dumps(report).encode() + b"\n", watched=order["order"] in WATCHED)

    def _say(self, report: bytes, *, watched: bool) -> None:
        control = self._doors.control.fileno()
        if self._shim is not None:
            self._shim.watch(control, on=watched)
        while report:
            report = report[os.write(control, report) :]
        if self._shim is not None:
            self._shim.watch(control, on=False)

    def _new(self) -> ServerContext:
        passwords = Passwords()
        passwords.known[OWNER] = PASSWORD
        store = self._store(self._root)
        take_over = self._take_over
        return ServerContext(
            store=store,
            authenticator=passwords,
            log=self._log,
            lock_timeout=PATIENCE if take_over else 0,
            take_over=take_over,
        )

    def _connection(self) -> Connection:
        return Connection(self._new() if self._anew else self._service)

    async def _handle_signals(self, order: str, message: bytes) -> dict[str, Any]:
        match order:
            case "new":
                self._service = self._new()
                self._lines.seek(0)
                self._lines.truncate()
            case "settle":
                while self._service.connections or self._service.connections.background:  # noqa: ASYNC110  # no event says so
                    await asyncio.sleep(0.001)
            case "deliver":
                try:
                    return {"uid": await self.deliver(OWNER, message)}
                except StoreError as error:
                    return {"error": str(error)}
            case "undelete":
                return await self._undelete()
            case "expire":
                return await self._expire()
            case "kick":
                for connection in self._service.connections:
                    assert isinstance(connection, AdministeredConnection)
                    connection.stop(EndReason.KICKED)
        sessions = len(self._service.connections) + len(self._service.connections.background)
        files = list(self._open_files())
        return {"log": await self._log_until_now(), "open": files, "sessions": sessions}

    async def _undelete(self) -> dict[str, Any]:
        store = self._service.store
        assert isinstance(store, KeepsDeleted)
        try:
            kept = await store.list_deleted(OWNER)
            restored = await store.undelete(OWNER, [message.uid for message in kept])
        except StoreError as error:
            return {"error": str(error)}
        return {"restored": [message.uid for message in restored]}

    async def _expire(self) -> dict[str, Any]:
        store = self._service.store
        assert isinstance(store, Expires)
        try:
            expired = await store.expire(OWNER, 1)
        except PartlyExpiredError as error:
            return {"error": str(error), "removed": [message.uid for message in error.removed]}
        except StoreError as error:
            return {"error": str(error), "removed": []}
        return {"expired": [message.uid for message in expired]}

    async def _log_until_now(self) -> str:
        """Return the log once its thread has written all that was logged before."""
        number = next(self._reports)
        self._log.info("report", number=number)
        while f"event=report number={number}\n" not in self._lines.getvalue():  # noqa: ASYNC110  # no event says so
            await asyncio.sleep(0.0005)
        return self._lines.getvalue()

    def _open_files(self) -> Iterator[str]:
        for descriptor in os.listdir("/proc/self/fd"):
            with contextlib.suppress(FileNotFoundError):
                file = os.readlink(f"/proc/self/fd/{descriptor}")
                if file.startswith(str(self._root)):
                    yield file


def _run(host: Callable[[], Host]) -> NoReturn:
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    gc.enable()
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(host().run())
    except BaseException:  # noqa: BLE001  # whatever it is, this is a child
        traceback.print_exc()
    finally:
        os._exit(1)
