"""Counts the calls that a server makes between two packets."""

from __future__ import annotations

import asyncio
import gc
import io
import math
import os
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from types import CodeType, FrameType
from typing import Any
from unittest.mock import patch

import restante
from restante.auth.file.accounts import FileAuthenticator
from restante.auth.passwords import hashing as password_hashing
from restante.protocol.secret import Secret
from restante.server.connection.connection import Connection
from restante.server.context import ServerContext
from restante.server.log import event_log
from restante.storage.disk_latency import ENOUGH, DiskLatency
from restante.storage.maildir import MaildirStore, identity
from restante.storage.paths import Layout
from support.thread import PATIENCE

SOURCES = os.path.dirname(restante.__file__)
IN_PYTHON = find_spec("restante.protocol.speedups") is None  # no compiler was there
LONG_AGO = (1e9, 1e9)  # of a folder that has not changed lately
MESSAGE = b"Subject: hello\n\n" + b"text\n" * 100


class Network(asyncio.Transport):
    """Notes what is sent."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1)})
        self.sent = b""
        self.answered = asyncio.Event()
        self._closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent += bytes(data)
        self.answered.set()

    def close(self) -> None:
        self._closing = True

    def is_closing(self) -> bool:
        return self._closing

    def get_write_buffer_size(self) -> int:
        return 0


@dataclass
class Calls:
    """Calls of Restante's functions, by function and by their caller."""

    functions: Counter[tuple[str, str]] = field(default_factory=Counter)  # by module and name
    callers: Counter[tuple[str, str]] = field(default_factory=Counter)  # by caller and called
    built_in: Counter[tuple[str, str]] = field(default_factory=Counter)  # by caller and called
    replies: bytes = b""

    @property
    def modules(self) -> set[str]:
        return {module for module, _ in self.functions}

    def note(self, frame: FrameType, event: str, arg: Any) -> None:
        """Take what sys.setprofile reports; a generator that goes on counts as a call."""
        code = frame.f_code
        if not code.co_filename.startswith(SOURCES):
            return
        if event == "call":
            before = frame.f_back.f_code if frame.f_back else code
            self.functions[_module(code), code.co_qualname] += 1
            self.callers[before.co_qualname, code.co_qualname] += 1
        elif event == "c_call":
            self.built_in[code.co_qualname, arg.__qualname__] += 1


def _module(code: CodeType) -> str:
    return os.path.relpath(code.co_filename, SOURCES)


def count(folder: Path, lines: Sequence[str], *, warm: Sequence[str] = ()) -> Calls:
    """Return the calls of the session of a user who comes again.

    Each line comes in a packet of its own. With `warm`, those lines come first, and only the calls
    of `lines` are counted; without, those of the whole session are.
    """
    gc.collect()
    gc.disable()  # it could end sessions of other tests meanwhile
    try:
        with patch.object(identity, "TICK", 0):  # the messages are no longer new
            return asyncio.run(_count(folder, lines, warm))
    finally:
        gc.enable()


async def _count(folder: Path, lines: Sequence[str], warm: Sequence[str]) -> Calls:
    accounts = folder / "users"
    accounts.write_text(f"ann:{password_hashing.hash_password(Secret(b'secret'))}\n")
    accounts.chmod(0o600)
    authenticator = FileAuthenticator(accounts, print, remember=3600)
    for name in ("cur", "new", "tmp"):
        (folder / "mail" / "ann" / name).mkdir(parents=True)
    quick = DiskLatency(math.inf)  # however busy the machine is
    store = MaildirStore(Layout(folder / "mail"), latency=quick)
    for _ in range(3):
        await store.deliver("ann", MESSAGE)
    with io.StringIO() as written:
        log, writer = event_log.configure_log("text", written)
        context = ServerContext(store=store, authenticator=authenticator, log=log)
        await authenticator.verify("ann", Secret(b"secret"))
        poll = ("USER ann", "PASS secret", "STAT", "UIDL", "RETR 1", "QUIT")
        for name in ("cur", "new"):
            os.utime(folder / "mail" / "ann" / name, LONG_AGO)
        for _ in range(2 * ENOUGH):
            connection, network = _connect(context)
            for line in poll:
                await _say(connection, network, line)
            connection.connection_lost(None)
        calls = Calls()
        if warm:
            connection, network = _connect(context)
            for line in warm:
                connection.data_received(f"{line}\r\n".encode())
            network.sent = b""
            sys.setprofile(calls.note)
        else:
            sys.setprofile(calls.note)
            connection, network = _connect(context)
        for line in lines:
            connection.data_received(f"{line}\r\n".encode())
        if not warm:
            connection.connection_lost(None)
        sys.setprofile(None)
        if warm:
            connection.connection_lost(None)
        calls.replies = network.sent
        writer.close()
    return calls


def _connect(context: ServerContext) -> tuple[Connection, Network]:
    network = Network()
    connection = Connection(context)
    connection.connection_made(network)
    return connection, network


async def _say(connection: Connection, network: Network, line: str) -> None:
    network.answered.clear()
    connection.data_received(f"{line}\r\n".encode())
    await asyncio.wait_for(network.answered.wait(), PATIENCE)
