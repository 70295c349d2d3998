"""The session that holds a maildrop, in this process or another, and its end when it is idle.

The other workers are asked through the control sockets, and the other nodes of a cluster through
its store. Only a login that meets another session asks them.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from restante.storage.errors import StoreError
from restante.storage.peers import AsksPeers

if TYPE_CHECKING:
    from pathlib import Path

    from restante.server.connection.administered import AdministeredConnection, SessionFacts
    from restante.server.control.messages import Action
    from restante.server.registry import ConnectionRegistry

PATIENCE = 1.0  # seconds for the siblings to answer
NODE_PATIENCE = 2.0  # seconds for other nodes to see a request, and to answer it
TAKE_OVER_TIME = 2.0  # seconds for another node to see a request, and to end a session
MAX_QUESTIONS = 8  # to other nodes at once; further logins are rejected without an explanation


class Holder(NamedTuple):
    """The holder of a maildrop.

    Attributes:
        since: when its session began, in seconds since 1970.
        session: the session; None if its node does not answer.
        node: the name of its machine, "" for this node.
    """

    since: float
    session: SessionFacts | None
    node: str = ""


class MaildropHolders:
    """Finds the session that holds the maildrop of an owner.

    `folder` has the control sockets of all workers.

    Attributes:
        asks: whether there are other processes that can be asked.
    """

    def __init__(
        self,
        connections: ConnectionRegistry[AdministeredConnection],
        folder: Path | None = None,
        store: object = None,
    ) -> None:
        self._connections = connections
        self._folder = folder
        self._nodes = store if isinstance(store, AsksPeers) else None
        self._questions: dict[str, asyncio.Task[Holder | None]] = {}  # to other nodes, by owner
        self.asks = folder is not None or self._nodes is not None

    def find_here(self, owner: str) -> SessionFacts | None:
        """Return the session of this process that holds the maildrop, if one does."""
        for connection in self._connections:
            if connection.held_maildrop == owner:
                return connection.describe()
        return None

    async def find(self, owner: str) -> Holder | None:
        """Return the session that holds the maildrop, of any process of any node."""
        from restante.server.control.messages import Action

        session = self.find_here(owner)
        if session is None:
            session = next(iter(await self._ask_workers(Action.HOLDER, owner)), None)
        if session is None:
            return await self._ask_nodes(owner)
        return Holder(session.since, session)

    def stop_idle_here(self, owner: str, age: float = 0) -> list[SessionFacts]:
        """End the session of this process that holds the maildrop and waits for a command.

        One that was connected less than `age` seconds ago stays.
        """
        begun_by, stopped = asyncio.get_running_loop().time() - age, []
        for connection in self._connections:
            if connection.held_maildrop == owner:
                facts = connection.describe()
                if connection.stop_if_idle(begun_by):
                    stopped.append(facts)
        return stopped

    async def stop_idle(self, owner: str) -> float:
        """End the session that holds the maildrop, of any process, if it waits for a command.

        Return the seconds in which one at another node may end.
        """
        from restante.server.control.messages import Action

        if self.stop_idle_here(owner) or self.find_here(owner) is not None:
            return 0
        if await self._ask_workers(Action.TAKE_OVER, owner) or self._nodes is None:
            return 0
        from restante.server.control.others import encode_request

        try:
            await self._nodes.send_request(encode_request(Action.TAKE_OVER, owner))
        except StoreError:
            return 0
        return TAKE_OVER_TIME

    async def _ask_nodes(self, owner: str) -> Holder | None:
        """Ask the other nodes of a cluster which of them has the session, once at a time."""
        if self._nodes is None:
            return None
        task = self._questions.get(owner)
        if task is None:
            if len(self._questions) >= MAX_QUESTIONS:
                return await _find_lease(self._nodes, owner)
            task = self._connections.spawn(self._find_elsewhere(self._nodes, owner))
            self._questions[owner] = task
            task.add_done_callback(lambda _: self._questions.pop(owner))
        return await asyncio.shield(task)

    async def _find_elsewhere(self, nodes: AsksPeers, owner: str) -> Holder | None:
        from restante.server.control.messages import Action
        from restante.server.control.others import decode_answers, encode_request

        request = encode_request(Action.HOLDER, owner)
        try:
            answers = await nodes.ask_nodes(request, (), NODE_PATIENCE, first=True)
        except StoreError:
            return None
        for reply in decode_answers(answers):
            for facts in reply.sessions:
                return Holder(facts.since, facts, reply.node)
        return await _find_lease(nodes, owner)

    async def _ask_workers(self, action: Action, owner: str) -> list[SessionFacts]:
        """Ask all processes; one that does not answer is left out."""
        if self._folder is None:
            return []
        from restante.server.control.asking import ControlError, ask_all
        from restante.server.control.messages import ControlRequest

        try:
            replies = await ask_all(
                self._folder, ControlRequest(action=action, who=owner), PATIENCE
            )
        except ControlError:
            return []
        return [facts for reply in replies.received for facts in reply.sessions]


async def _find_lease(nodes: AsksPeers, owner: str) -> Holder | None:
    """Return what the database knows, since a node that stands still does not answer."""
    try:
        lease = await nodes.find_lease(owner)
    except StoreError:
        return None
    return None if lease is None else Holder(lease.since, None, lease.node)
