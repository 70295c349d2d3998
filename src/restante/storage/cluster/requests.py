"""Requests of a node to all others, by way of the database, and their answers.

A request is a row, which each node sees when it next shares, once a second. Nothing waits for
requests in the meantime: no connection, and no query more than those of `peers`. `peers` also
removes the rows that a killed node left behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import uuid
from typing import TYPE_CHECKING

from restante.storage.errors import StoreError
from restante.storage.peers import PeerAnswers, PeerLease, PeerNode

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from restante.storage.cluster.database import Database

PAUSE = 0.25  # seconds between two queries for answers
UNREGISTERED = "this node is not registered in PostgreSQL now; its log says why"

ANNOUNCE = "update node set name = $2, process = $3, seen = clock_timestamp() where id = $1"
NODES = """
select id::text, name, process, until > clock_timestamp() as alive,
    extract(epoch from clock_timestamp() - coalesce(seen, until))::float8 as seen
from node n where name is not null and (until > clock_timestamp() or not exists (
    select from node later
    where later.name = n.name and (later.process = n.process or later.until > clock_timestamp())
        and later.until > n.until
)) order by name, process, id
"""  # a process has a row for each of its lives, and a killed one says nothing while others serve
LEASE = """
select n.name, extract(epoch from l.taken)::float8 as since
from box b join lease l on l.box = b.id join node n on n.id = l.node
where b.owner = $1 and n.name is not null
"""
REQUEST = "insert into request (id, node, but, content) values ($1, $2, $3, $4)"
ANSWER = "insert into answer values ($1, $2, $3) on conflict do nothing"
ANSWERS = "select node::text, content from answer where request = $1"
FORGET = """
with gone as (delete from request where id = $1) delete from answer where request = $1
"""


class NodeRequests:
    """A store that carries requests between nodes. All methods raise StoreError.

    Attributes:
        node: the random name of this node, "" before others may know it.
    """

    node: str = ""

    async def announce(self, node: str) -> None:
        """Let the others know this node, once in its life, so that they expect its answers."""
        if node != self.node:
            database = await self._open_database()
            await database.fetch(ANNOUNCE, uuid.UUID(node), socket.gethostname(), os.getpid())
            self.node = node

    async def list_nodes(self) -> Sequence[PeerNode]:
        """Return the nodes that serve, and for an hour those of machines where none does."""
        return [PeerNode(*row) for row in await (await self._open_database()).fetch(NODES)]

    async def send_request(self, content: bytes) -> None:
        """Make a request to all other nodes that is not answered."""
        await self._send(uuid.uuid4(), content, ())

    async def ask_nodes(
        self, content: bytes, but: Collection[str], patience: float, *, first: bool = False
    ) -> PeerAnswers:
        """Ask all other nodes but some of them, and wait for `patience` seconds at most.

        `first`: the first answer is enough.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + patience
        nodes = {node.id: node for node in await self.list_nodes() if node.alive}
        if self.node and self.node not in nodes:
            raise StoreError(UNREGISTERED)
        for node_id in (self.node, *but):
            nodes.pop(node_id, None)
        if not nodes:
            return PeerAnswers([], [])
        database, request = await self._open_database(), uuid.uuid4()
        content_by_node: dict[str, bytes] = {}
        try:
            await self._send(request, content, but)
            while loop.time() < deadline and not (
                nodes.keys() <= content_by_node.keys() or (first and content_by_node)
            ):
                await asyncio.sleep(PAUSE)
                content_by_node = dict(await database.fetch(ANSWERS, request))
        finally:
            with contextlib.suppress(StoreError):
                await database.fetch(FORGET, request)
        return PeerAnswers(
            list(content_by_node.values()),
            [node for node_id, node in nodes.items() if node_id not in content_by_node],
        )

    async def find_lease(self, owner: str) -> PeerLease | None:
        """Return which node has the lease of a maildrop, if it is known."""
        row = await (await self._open_database()).fetchrow(LEASE, owner)
        return None if row is None else PeerLease(*row)

    async def answer_request(self, request: str, content: bytes) -> None:
        """Answer a request by its id."""
        database = await self._open_database()
        await database.fetch(ANSWER, uuid.UUID(request), uuid.UUID(self.node), content)

    async def _send(self, request: uuid.UUID, content: bytes, but: Collection[str]) -> None:
        if not self.node:
            raise StoreError(UNREGISTERED)
        database = await self._open_database()
        but_ids = [uuid.UUID(id_) for id_ in but]
        await database.fetch(REQUEST, request, uuid.UUID(self.node), but_ids, content)

    async def _open_database(self) -> Database:
        raise NotImplementedError
