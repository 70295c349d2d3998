"""The ways on which mail arrives, as its senders see them."""

from __future__ import annotations

import contextlib
import importlib
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Literal, NoReturn

from faults.promise import Answer, hold
from faults.shim import Shim
from faults.stores import OWNER
from protocol import reference

Way = Literal["store", "lmtp", "pipe"]

TRACE = {
    "store": b"",
    "lmtp": b"Return-Path: <bob@example.com>\nDelivered-To: ann\n",
    "pipe": b"Return-Path: <>\nDelivered-To: ann\n",
}
"""The fields on top of a message, by the way that it came."""

TRY_AGAIN = (75, 77)  # of sysexits.h; where a permission is missing, Postfix keeps the mail too

_BEFORE = ("LHLO me", "MAIL FROM:<bob@example.com>", "RCPT TO:<{}>", "DATA")
_LAZY = (
    "cli.commands.deliver",
    "delivery.deliverer",
    "delivery.recipients",
    "delivery.trace_headers",
    "server.composition.backends",
)


def by_lmtp(connection: socket.socket, message: bytes, owner: str = OWNER) -> Answer:
    """Bring a message, and return what became of it once the server has hung up."""
    with contextlib.closing(connection), connection.makefile("rb") as replies:
        before = [line.format(owner).encode() for line in ("", *_BEFORE)]
        if not all(_says(connection, replies, line) for line in before):
            return Answer.REFUSED  # it never had the message
        try:
            connection.sendall(reference.retr(message))
            reply = replies.readline()
            connection.shutdown(socket.SHUT_WR)
            replies.read()
        except (BrokenPipeError, ConnectionResetError):
            return Answer.OPEN
    if not reply.endswith(b"\r\n"):
        return Answer.OPEN
    hold(b"incident" not in reply and reply[:1] in b"24", f"the reply is {reply!r}")
    return Answer.DONE if reply.startswith(b"250 2.0.0 ") else Answer.REFUSED


def _says(connection: socket.socket, replies: BinaryIO, line: bytes) -> bool:
    """Say something, and tell whether the server bids go on."""
    try:
        connection.sendall(line and line + b"\r\n")
        while (reply := replies.readline())[3:4] == b"-":
            pass
    except (BrokenPipeError, ConnectionResetError):
        return False
    return reply.endswith(b"\r\n") and reply[:1] in b"23"


def by_pipe(shim: Shim, options: Sequence[str | Path], message: bytes) -> Answer:
    """Hand a message to `pop3 deliver`, in a process that the shim watches."""
    for name in _LAZY:
        importlib.import_module(f"restante.{name}")  # once, and not in each process
    theirs, ours = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(ours)
        _command(shim, theirs, ["deliver", OWNER, *map(str, options)])
    os.close(theirs)
    with contextlib.suppress(BrokenPipeError), open(ours, "wb", buffering=0) as pipe:
        pipe.write(message)
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    hold(code <= 0 or code in TRY_AGAIN, f"the exit code is {code}")
    if code:
        return Answer.REFUSED if code > 0 else Answer.OPEN
    return Answer.DONE


def _command(shim: Shim, message: int, arguments: list[str]) -> NoReturn:
    """Be the command `pop3`."""
    from restante.cli.main import main

    code = 1
    try:
        os.dup2(message, 0)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        shim.arm()
        main(arguments)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0
    finally:
        os._exit(code)
