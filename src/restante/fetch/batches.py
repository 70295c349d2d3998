"""How many messages are fetched at once: in a session, and in a group."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from restante.client.session import ClientSession
    from restante.fetch.planner import MessageEntry

SESSION_MESSAGES = 200  # that one session fetches; then QUIT confirms their deletion
MAX_SESSIONS = 20  # of a run, about: each lists all messages again
SESSION_OCTETS = 100_000_000
GROUP_OCTETS = 8_000_000  # that are prepared at once, whatever the destination allows


def lists_a_part(session: ClientSession) -> bool:
    """Return whether a server lists a part of its messages, and the next part in the next session.

    Gmail lists a few hundred, and none again that was fetched.
    """
    return "X-GOOGLE-RICO" in (session.capabilities or {})


def split_into_groups(messages: Sequence[MessageEntry], limit: int) -> Iterator[list[MessageEntry]]:
    """Yield messages in parts of at most `limit` that are delivered together."""
    some: list[MessageEntry] = []
    octets = 0
    for message in messages:
        if some and (len(some) >= limit or octets + message.size > GROUP_OCTETS):
            yield some
            some, octets = [], 0
        some.append(message)
        octets += message.size
    if some:
        yield some


def first_messages(messages: list[MessageEntry]) -> list[MessageEntry]:
    """Return the messages of one session: some servers slow down or end long ones."""
    limit = max(SESSION_MESSAGES, len(messages) // MAX_SESSIONS)
    most_octets = max(SESSION_OCTETS, sum(message.size for message in messages) // MAX_SESSIONS)
    octets = 0
    for place, message in enumerate(messages[:limit]):
        octets += message.size
        if octets > most_octets and place:
            return messages[:place]
    return messages[:limit]
