"""The session that holds a maildrop, in this process or a sibling, and its end when it is idle.

The siblings are the other workers; they are asked through the control sockets, which only a login
that meets [IN-USE] does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.server.connection.administered import AdministeredConnection, SessionFacts

if TYPE_CHECKING:
    from pathlib import Path

    from restante.server.control.messages import Action
    from restante.server.registry import ConnectionRegistry

PATIENCE = 1.0  # seconds for the siblings to answer


class MaildropHolders:
    """Finds the session that holds the maildrop of an owner. `folder` has the control sockets."""

    def __init__(self, connections: ConnectionRegistry, folder: Path | None = None) -> None:
        self._connections = connections
        self._folder = folder

    def find_here(self, owner: str) -> SessionFacts | None:
        """Return the session of this process that holds the maildrop, if one does."""
        for each in self._connections:
            if isinstance(each, AdministeredConnection) and each.held_maildrop == owner:
                return each.describe()
        return None

    async def find(self, owner: str) -> SessionFacts | None:
        """Return the session that holds the maildrop, of any process of this server."""
        from restante.server.control.messages import Action

        if (found := self.find_here(owner)) is not None:
            return found
        return next(iter(await self._ask(Action.HOLDER, owner)), None)

    def stop_idle_here(self, owner: str) -> list[SessionFacts]:
        """End the session of this process that holds the maildrop and waits for a command."""
        stopped = []
        for each in self._connections:
            if isinstance(each, AdministeredConnection) and each.held_maildrop == owner:
                facts = each.describe()
                if each.stop_if_idle():
                    stopped.append(facts)
        return stopped

    async def stop_idle(self, owner: str) -> None:
        """End the session that holds the maildrop, of any process, if it waits for a command."""
        from restante.server.control.messages import Action

        if not self.stop_idle_here(owner) and self.find_here(owner) is None:
            await self._ask(Action.TAKE_OVER, owner)

    async def _ask(self, action: Action, owner: str) -> list[SessionFacts]:
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
        return [facts for reply in replies.given for facts in reply.sessions]
