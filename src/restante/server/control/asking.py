"""Asks all processes of a server at once, for the commands of the toolbox."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from restante.json_input import read_json
from restante.server.control.messages import LONGEST_REPLY, SUFFIX, ControlReply, ControlRequest
from restante.system_errors import explain_connection, find_reason

if TYPE_CHECKING:
    from pathlib import Path

_SOCKET = re.compile(rf"[0-9]{{1,10}}{re.escape(SUFFIX)}")
PATIENCE = 3  # seconds for all processes together
NODES_PATIENCE = 5  # seconds for the other nodes of a cluster
LATE = "the other nodes did not answer in time; check PostgreSQL and the network"


class ControlError(Exception):
    """No process could be asked; the text says why, and what to do."""


@dataclass
class Replies:
    """The answers of the processes, and the ids of those without one.

    Attributes:
        nodes: what one of them says of the other nodes of a cluster, if there is one.
    """

    received: list[ControlReply] = field(default_factory=list)
    silent: list[int] = field(default_factory=list)
    nodes: ControlReply | None = None


async def ask_all(folder: Path, request: ControlRequest, patience: float) -> Replies:
    """Ask each process that has a socket in a folder. Files of dead processes are removed.

    A process that does not answer within `patience` seconds is silent. Raises ControlError.
    """
    files = _find_sockets(folder)
    replies = Replies()
    line = msgspec.json.encode(request) + b"\n"
    answers = await asyncio.gather(
        *(_ask(file, line, patience) for file in files), return_exceptions=True
    )
    for file, answer in zip(files, answers, strict=True):
        if isinstance(answer, ControlReply):
            replies.received.append(answer)
        elif isinstance(answer, PermissionError):
            raise ControlError(_describe(file, answer))
        elif isinstance(answer, ConnectionRefusedError):  # it was killed, or does not listen yet
            if not _is_running(_pid_of(file)):
                with contextlib.suppress(OSError):
                    file.unlink()
        elif not isinstance(answer, FileNotFoundError):  # it ended a moment ago
            replies.silent.append(_pid_of(file))
    if not replies.received and not replies.silent:
        raise ControlError(f"no server answers in {folder}; start `pop3 serve`")
    return replies


async def ask_everywhere(folder: Path, request: ControlRequest) -> Replies:
    """Ask each process, then the other nodes of a cluster by way of the first one that answered.

    The answers of those nodes are among the others. Raises ControlError.
    """
    replies = await ask_all(folder, request, PATIENCE)
    known = [reply.id for reply in replies.received if reply.id]
    if known:
        passed_on = msgspec.structs.replace(request, others=True, but=known)
        line = msgspec.json.encode(passed_on) + b"\n"
        asked = next(reply for reply in replies.received if reply.id)
        try:
            replies.nodes = await _ask(folder / f"{asked.worker}{SUFFIX}", line, NODES_PATIENCE)
        except TimeoutError:  # the process itself has just answered
            replies.nodes = ControlReply(worker=asked.worker, node=asked.node, error=LATE)
        except (OSError, ValueError):
            replies.silent.append(asked.worker)
        else:
            replies.received += replies.nodes.others
    return replies


def _find_sockets(folder: Path) -> list[Path]:
    """Return the sockets in a folder. Raises ControlError."""
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        raise ControlError(_describe(folder, error)) from error
    return [folder / name for name in names if _SOCKET.fullmatch(name)]


def _pid_of(file: Path) -> int:
    return int(file.name.removesuffix(SUFFIX))


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass  # it belongs to another user
    return True


async def _ask(file: Path, line: bytes, patience: float) -> ControlReply:
    async with asyncio.timeout(patience):
        reader, writer = await asyncio.open_unix_connection(file, limit=LONGEST_REPLY)
        try:
            writer.write(line)
            return read_json(await reader.readline(), ControlReply)
        finally:
            writer.close()


def _describe(path: Path, error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return f"{path} does not exist; set control.folder, and start `pop3 serve`"
    if isinstance(error, PermissionError):
        reason = find_reason(error)
        return f"{path}: {reason}; run the command as root, or join the group control.group"
    return f"{path}: {explain_connection(error)}"
