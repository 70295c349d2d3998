"""The messages at a control socket: a request, and the reply of one process."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from restante.server.connection.administered import SessionFacts

SUFFIX = ".sock"
"""A socket's file is the process id and this."""

LONGEST_REQUEST = 4096  # octets
LONGEST_REPLY = 64 * 1024 * 1024  # octets, of a process with some 200,000 connections


class Action(StrEnum):
    """The kind of a request to a process."""

    SESSIONS = "sessions"  # describe them
    KICK = "kick"  # end those of a user, of an address, or of an id
    HOLDER = "holder"  # describe the session that holds the maildrop of a user
    TAKE_OVER = "take over"  # end that session, if it waits for a command
    STATUS = "status"  # describe itself


class ControlRequest(msgspec.Struct, kw_only=True):
    """A line to a control socket. `who` is a user, an address or a session id.

    Attributes:
        others: it is for the other nodes of a cluster, and this one passes it on.
        but: nodes that were asked already, by their ids.
        by: the user of this machine that asks, set by the node that passes it on.
        at: the name of that node.
    """

    action: Action
    who: str = ""
    others: bool = False
    but: list[str] = []
    by: int = -1
    at: str = ""


class ListenerAddress(msgspec.Struct, kw_only=True):
    """Where a process accepts connections, as HOST:PORT or unix:PATH.

    `service` is pop3, pop3s (with TLS from the first octet), lmtp, smtp, auth or metrics.
    """

    service: str
    address: str


class CertificateEnd(msgspec.Struct, kw_only=True):
    """A certificate in use, and when it ends, as RFC 3339 writes it."""

    file: str
    ends: str


class ProcessStatus(msgspec.Struct, kw_only=True):
    """How a process is.

    Attributes:
        version: of Restante.
        uptime: in seconds.
        connections: all of POP3, logged in or not.
        sessions: those that are logged in.
        listeners: where it accepts connections.
    """

    version: str
    uptime: float
    connections: int
    sessions: int
    listeners: list[ListenerAddress]
    certificates: list[CertificateEnd]


class NodeState(msgspec.Struct, kw_only=True):
    """A process of a cluster, as the database knows it.

    Attributes:
        node: the name of its machine.
        worker: its process id.
        alive: it said so in time.
        seen: seconds since it last said so.
    """

    node: str
    worker: int
    alive: bool
    seen: float


class ControlReply(msgspec.Struct, kw_only=True):
    """The line that a process answers with.

    Attributes:
        worker: its process id.
        node: the name of its machine.
        sessions: all of them, or those that it has ended.
        status: how it is, if that was asked.
        everywhere: whether silent nodes end the sessions once they are back.
        error: why it could not do what was asked, in words.
        id: its random name as a node of a cluster.
        others: what the other nodes answered.
        silent: the other nodes that did not answer.
        nodes: all nodes of the cluster, if their status was asked.
    """

    worker: int
    node: str
    sessions: list[SessionFacts] = []
    status: ProcessStatus | None = None
    everywhere: bool = False
    error: str = ""
    id: str = ""
    others: list[ControlReply] = []
    silent: list[NodeState] = []
    nodes: list[NodeState] = []
