"""One client of POP3 in developer mode: the server's connection, its faults, and a record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from restante.developer.hiding import hide
from restante.developer.pop3_recorder import record_pop3
from restante.misbehave.connection import FaultyConnection, SharedFault
from restante.misbehave.conversation import as_octets, leave_alone, relay
from restante.net.addresses import format_host_port
from restante.protocol.server.needs import Authenticate, AuthMethod
from restante.protocol.server.serve import serve as hold_conversation

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Generator

    from restante.developer.accounts import DeveloperAccounts
    from restante.developer.faults import FaultSwitch
    from restante.developer.mailboxes import Mailboxes
    from restante.developer.sessions import SessionRecord, SessionTable
    from restante.protocol.server.needs import Conversation, Step
    from restante.protocol.server.session import Session
    from restante.server.connection.transport import ListenerPolicy
    from restante.server.context import ServerContext

NO_FAULT = SharedFault(leave_alone, "")


@dataclass(frozen=True, kw_only=True, eq=False)
class Pop3Sharing:
    """The parts that all connections share."""

    accounts: DeveloperAccounts
    mailboxes: Mailboxes
    sessions: SessionTable
    faults: FaultSwitch
    hidden: frozenset[str] = frozenset()  # capabilities


class DeveloperPop3Connection(FaultyConnection):
    """A client that fetches mail."""

    def __init__(
        self, sharing: Pop3Sharing, context: ServerContext, policy: ListenerPolicy
    ) -> None:
        super().__init__(NO_FAULT, context, policy)
        self._sharing = sharing
        self._session_record: SessionRecord

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin a record, and greet the client."""
        peer = transport.get_extra_info("peername") or ("", 0)
        self._session_record = self._sharing.sessions.open("POP3", format_host_port(*peer[:2]))
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """End the record, and let go of everything."""
        super().connection_lost(exc)
        self._session_record.end(self._end.value if self._end else "disconnected")

    def serve(self, session: Session) -> Conversation:
        """Hold the server's conversation, with the faults that are on, and write it down."""
        sharing, record = self._sharing, self._session_record
        conversation = accept_tokens(hold_conversation(session), sharing.accounts)
        if sharing.hidden:
            conversation = hide(conversation, sharing.hidden)
        altered = sharing.faults.alter(conversation, session, lambda text: record.note(fault=text))
        return record_pop3(as_octets(altered), session, record, sharing.mailboxes)


def accept_tokens(conversation: Conversation, accounts: DeveloperAccounts) -> Conversation:
    """Take a token for a password: developer mode knows no issuer of tokens."""

    def ask(step: Step) -> Generator[Step, Any, object]:
        if isinstance(step, Authenticate) and step.method is AuthMethod.TOKEN:
            user = step.user or accounts.owner_of_token(step.response)
            step = Authenticate(AuthMethod.PASSWORD, user, step.response)
        return (yield step)

    return relay(conversation, ask)
