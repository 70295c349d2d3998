"""The control socket of one process."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import grp
import os
import socket
import stat
import struct
import time
from importlib.metadata import version
from typing import TYPE_CHECKING

import msgspec

from restante.auth.usernames import with_domain
from restante.json_input import read_json
from restante.junk import with_suffix
from restante.net.addresses import format_own_address
from restante.protocol.server.session import EndReason
from restante.server.config.addresses import canonical_address
from restante.server.config.loader import ConfigError
from restante.server.control.messages import (
    LONGEST_REQUEST,
    SUFFIX,
    Action,
    CertificateEnd,
    ControlReply,
    ControlRequest,
    ListenerAddress,
    ProcessStatus,
)
from restante.server.control.others import ask_others, encode_answer
from restante.server.system.accepting import stop_accepting
from restante.server.system.process import is_permitted
from restante.server.system.unix_sockets import (
    UnixSockets,
    require_short_path,
    serve_unix_socket,
)
from restante.storage.errors import StoreError
from restante.storage.peers import AsksPeers, FreesLeases
from restante.system_errors import explain_path

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from structlog.typing import FilteringBoundLogger

    from restante.server.config.server_sections import ControlSection
    from restante.server.connection.administered import AdministeredConnection, SessionFacts
    from restante.server.context import ServerContext
    from restante.server.tls.certificates import Certificates

PATIENCE = 5  # seconds for a request to come, and for its reply to be read
AT_ONCE = 16  # requests; a further connection is closed
BATCH = 200  # connections that are described before others get their turn
HIGHEST_PID = 4_194_304  # of any system


class ControlService:
    """Answers requests about the connections of this process."""

    def __init__(
        self,
        context: ServerContext,
        certificates: Sequence[Certificates] = (),
    ) -> None:
        self._context = context
        self._certificates = certificates
        self._begun = time.monotonic()
        self._open = 0  # requests under way

    @property
    def log(self) -> FilteringBoundLogger:
        """The log of this process."""
        return self._context.log

    async def answer(self, request: ControlRequest) -> ControlReply:
        """Do what a user of this machine or another node asks for. Raises nothing."""
        try:
            return await self._carry_out(request)
        except Exception:
            self._context.log.exception("incident", what="a control request failed")
            return self._new_reply("internal error: the log has an event `incident`")

    async def _carry_out(self, request: ControlRequest) -> ControlReply:
        reply = self._new_reply()
        if request.others:
            await ask_others(self._context, request, reply)
            return reply
        match request.action:
            case Action.SESSIONS:
                reply.sessions = [facts async for _, facts in self._describe_each()]
            case Action.KICK:
                reply.sessions = await self._kick(request)
            case Action.HOLDER:
                holder = self._context.holders.find_here(request.who)
                reply.sessions = [holder] if holder is not None else []
            case Action.TAKE_OVER:
                reply.sessions = self._context.holders.stop_idle_here(request.who)
            case Action.STATUS:
                reply.status = self._status()
        return reply

    async def answer_node(self, content: bytes, age: float) -> bytes | None:
        """Do what another node asked for `age` seconds ago, and return the answer.

        None: it needs none of this node.
        """
        try:
            request = read_json(content, ControlRequest)
        except ValueError:
            return None  # a newer node asks what this one cannot do
        if request.action is Action.TAKE_OVER:
            self._context.holders.stop_idle_here(request.who, age)
            return None
        reply = await self.answer(request)
        if request.action is Action.HOLDER and not reply.sessions:
            await self._free_unused_lease(request.who)
            return None
        return encode_answer(reply)

    async def _free_unused_lease(self, owner: str) -> None:
        """Let a user in at other nodes, if only a lost release is in the way."""
        store = self._context.store
        if isinstance(store, FreesLeases):
            with contextlib.suppress(StoreError):
                await store.free_unused_lease(owner)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the request of one connection."""
        self._open += 1
        try:
            if self._open > AT_ONCE:
                return
            with contextlib.suppress(OSError, TimeoutError, ValueError):
                async with asyncio.timeout(PATIENCE):
                    line = await reader.readline()  # ValueError: it is too long
                    writer.write(msgspec.json.encode(await self._reply(line, writer)) + b"\n")
                    writer.close()
                    await writer.wait_closed()
        finally:
            self._open -= 1
            writer.transport.abort()  # of a program that does not read, or sent no request

    async def _reply(self, line: bytes, writer: asyncio.StreamWriter) -> ControlReply:
        """Return the reply to a line, whatever it is."""
        try:
            request = read_json(line, ControlRequest)
        except ValueError as error:
            return self._new_reply(f"the request is invalid: {error}")
        request.by, request.at = peer_uid(writer.get_extra_info("socket")), ""
        return await self.answer(request)

    def _new_reply(self, error: str = "") -> ControlReply:
        store = self._context.store
        node = store.node if isinstance(store, AsksPeers) else ""
        return ControlReply(worker=os.getpid(), node=socket.gethostname(), id=node, error=error)

    async def _describe_each(self) -> AsyncIterator[tuple[AdministeredConnection, SessionFacts]]:
        """Yield each connection; between many, those of POP3 have their turn."""
        for count, connection in enumerate(self._context.connections, 1):
            yield connection, connection.describe()
            if count % BATCH == 0:
                await asyncio.sleep(0)

    async def _kick(self, request: ControlRequest) -> list[SessionFacts]:
        """End the sessions of a user, of an address or of an id, and return them."""
        who, ended = request.who, []
        full = with_domain(who, self._context.default_domain)
        names = {who, full, canonical_address(who)} - {""}  # clients before the login have no user
        async for connection, facts in self._describe_each():
            if connection.is_ending:
                continue
            junk = with_suffix(facts.user, self._context.junk_suffix) if facts.junk else ""
            if names & {facts.user, facts.session, facts.address, junk}:
                connection.stop(EndReason.KICKED)
                ended.append(facts)
        asked_at = {"asked_at": request.at} if request.at else {}
        for facts in ended:
            self._context.log.info(
                "kicked",
                address=facts.address,
                user=facts.user,
                by=request.by,
                session=facts.session,
                **asked_at,
            )
        return ended

    def _status(self) -> ProcessStatus:
        connections = self._context.connections
        ends = {end for certificates in self._certificates for end in certificates.ends()}
        return ProcessStatus(
            version=version("restante"),
            uptime=round(time.monotonic() - self._begun, 1),
            connections=len(connections),
            sessions=sum(connection.logged_in for connection in connections),
            listeners=[
                ListenerAddress(service=service, address=format_own_address(one))
                for service, server in self._context.listening
                for one in server.sockets
            ],
            certificates=[CertificateEnd(file=file, ends=end) for file, end in sorted(ends)],
        )


@contextlib.asynccontextmanager
async def serving_control(section: ControlSection, service: ControlService) -> AsyncIterator[None]:
    """Answer at the socket of this process while the block runs."""
    assert section.folder is not None
    sockets = UnixSockets()
    file = section.folder / f"{os.getpid()}{SUFFIX}"
    mode = "660" if section.group else "600"
    connect = functools.partial(make_control_protocol, service)
    try:
        opened = sockets.open(file, mode, section.group)
        server = await serve_unix_socket(connect, opened, sockets, service.log)
        try:
            yield
        finally:
            await stop_accepting([server])
    finally:
        sockets.close()


def prepare_folder(section: ControlSection) -> None:
    """Make the folder of the sockets where it is missing, and set its mode and group.

    Raises ConfigError: it cannot be used, or another user could put a socket there.
    """
    folder, group = section.folder, section.group
    if folder is None:
        return
    try:
        check_length(folder)
        folder.mkdir(mode=0o700, exist_ok=True)
        check_owner(folder)
        if group and grp.getgrnam(group).gr_gid != folder.stat().st_gid:
            os.chown(folder, -1, grp.getgrnam(group).gr_gid)
        if folder.stat().st_uid == os.geteuid():
            folder.chmod(0o750 if group else 0o700)
        if not is_permitted(folder, os.W_OK | os.X_OK):
            what = "the user of the server cannot write to it"
            remedy = "change its owner or its permissions"
            raise ConfigError([f"control.folder: {folder}: {what}; {remedy}"])
    except KeyError:
        raise ConfigError([f"control.group: there is no group {group} on this machine"]) from None
    except OSError as error:
        raise ConfigError([f"control.folder: {explain_path(folder, error)}"]) from error


def check_length(folder: Path) -> None:
    """Raise OSError: the paths of sockets in a folder would be too long."""
    require_short_path(folder / f"{HIGHEST_PID}{SUFFIX}")


def check_owner(folder: Path, *, user_known: bool = True) -> None:
    """Raise ConfigError: another user can change a folder, or has made a link to it.

    If the user of the server is not known, it is the owner of the folder.
    """
    status = folder.stat()
    allowed = {0, os.geteuid() if user_known else status.st_uid}
    owners = {folder.lstat().st_uid, status.st_uid}
    if owners - allowed or status.st_mode & stat.S_IWOTH:
        what = "another user can write to it; use a folder of the server's user"
        raise ConfigError([f"control.folder: {folder}: {what}"])


def make_control_protocol(service: ControlService) -> asyncio.StreamReaderProtocol:
    """Return what serves a new connection. Called within an event loop."""
    reader = asyncio.StreamReader(limit=LONGEST_REQUEST)
    return asyncio.StreamReaderProtocol(reader, service.serve)


def peer_uid(connection: socket.socket) -> int:
    """Return the user at the other end, -1 where the system does not tell: unix(7)."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return -1
    credentials = connection.getsockopt(socket.SOL_SOCKET, option, struct.calcsize("3i"))
    uid: int = struct.unpack("3i", credentials)[1]
    return uid
