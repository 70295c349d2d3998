"""The listing of a maildrop: sizes by LIST, unique-ids by UIDL, and the faults of servers in both.

RFC 1939 sections 5 and 7.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.client.messages import MessageTable
from restante.protocol.client import operations
from restante.protocol.client.tables import count_lines
from restante.protocol.errors import RemoteError, ServerRefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from restante.client.session import ClientSession
    from restante.protocol.client.effects import Dialogue


def list_messages(session: ClientSession) -> Dialogue[MessageTable]:
    """Return the messages of a session that is logged in. Raises RemoteError."""
    sizes = yield from _sizes(session)
    uids: Mapping[int, str] = {}
    try:
        uids = yield from session.carry_out(operations.uidl())
    except ServerRefusedError:
        session.peer.add_trace("<", "(no unique-ids)")
    if omitted := omitted_by_list(sizes, uids):
        session.note_oddity("list-missing", omitted)
    return MessageTable(sizes, uids)


def omitted_by_list(sizes: Mapping[int, int], uids: Mapping[int, str]) -> str:
    """Return in words which messages UIDL has and LIST omits, "" for none."""
    if count_lines(uids) <= count_lines(sizes):
        return ""
    missing = sorted(uids.keys() - sizes.keys())
    if not missing:
        return ""
    numbers = ", ".join(map(str, missing[:10])) + (", ..." if len(missing) > 10 else "")
    return f"UIDL has messages that LIST omits: {numbers}"


def _sizes(session: ClientSession) -> Dialogue[Mapping[int, int]]:
    """Return LIST's sizes. Raises ServerRefusedError: it is refused, and STAT does not say why."""
    try:
        return (yield from session.carry_out(operations.list_()))
    except ServerRefusedError as refused:
        if refused.code:
            raise
        try:
            totals = yield from session.carry_out(operations.stat())
        except RemoteError as again:  # the server may close the connection after its reason
            if not isinstance(again, ServerRefusedError) or not says_empty(again):
                raise refused from None
            totals = operations.MailboxTotals(0, 0)
        return empty_list(session, refused, totals)


def says_empty(refused: ServerRefusedError) -> bool:
    """Return whether a server rejects STAT or LIST only because the mailbox is empty."""
    return not refused.code and operations.says_no_mail(refused.text)


def empty_list(
    session: ClientSession, refused: ServerRefusedError, totals: operations.MailboxTotals
) -> Mapping[int, int]:
    """Return no sizes if LIST is rejected only because the mailbox is empty.

    Raises ServerRefusedError: it has messages.
    """
    if totals.messages or refused.code:
        raise refused
    session.note_oddity("list-empty", f'LIST is rejected for an empty mailbox: "{refused.said}"')
    return {}
