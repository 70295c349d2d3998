"""The messages of a run that could not be had: they are parked, and the others come.

A message is parked where its server or a destination fails at it alone. If message after message
fails, it is not theirs, and the run ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.fetch.events import MessageParked
from restante.fetch.interfaces import DeliveryInDoubtError
from restante.protocol.errors import LOST

if TYPE_CHECKING:
    from collections.abc import Iterator

    from restante.fetch.account_journal import AccountJournal
    from restante.fetch.events import RunSummary
    from restante.fetch.interfaces import DestinationUnavailableError
    from restante.fetch.planner import MessageEntry
    from restante.protocol.errors import RemoteError

MAX_IN_A_ROW = 3  # messages that fail one after the other: it is the server or the destination


class ParkedMessages:
    """The messages that are not tried again in a run; `uid in parked` finds them.

    Attributes:
        failure: what was wrong with the first message that broke its session, None if none did.
    """

    def __init__(self, journal: AccountJournal, summary: RunSummary) -> None:
        self.failure: RemoteError | None = None
        self._journal, self._summary = journal, summary
        self._uids: set[str] = set()
        self._failed_in_a_row = 0
        self._suspect: tuple[MessageEntry, RemoteError] | None = None

    def __contains__(self, uid: str) -> bool:
        return uid in self._uids

    def park(self, message: MessageEntry, reason: str, *, lost: bool = False) -> MessageParked:
        """Park a message, and say so. With `lost` the next run tries it again."""
        self._journal.park(message.uid, message.size, reason, at_once=lost)
        return self._note(message, reason)

    def hold(self, message: MessageEntry, reason: str) -> MessageParked:
        """Park a message until its user asks for another try, and say so."""
        self._journal.hold(message.uid, message.size, reason)
        return self._note(message, reason)

    def _note(self, message: MessageEntry, reason: str) -> MessageParked:
        self._uids.add(message.uid)
        parked = MessageParked(message.uid, message.size, reason)
        self._summary.parked.append(parked)
        return parked

    def suspect(self, message: MessageEntry, error: RemoteError) -> None:
        """Suspect a message of the error that broke its session. Raises it after some in a row."""
        self._suspect = message, error
        self._uids.add(message.uid)
        self.failure = self.failure or error
        self.count_failure(error)

    def park_suspect(self) -> Iterator[MessageParked]:
        """Park the message that broke the session before: the server is there, so it was that."""
        if self._suspect is not None:
            (message, error), self._suspect = self._suspect, None
            yield self.park(message, str(error), lost=isinstance(error, LOST))

    def set_back(self, error: DestinationUnavailableError) -> Iterator[MessageParked]:
        """Let other messages come before the one at which a destination failed for now.

        The message is parked if the destination accepts others, since it is the cause then. It is
        parked, too, if the delivery is in doubt, since each try can be one more double.
        """
        message = error.message
        if message is None:
            return
        in_doubt = isinstance(error, DeliveryInDoubtError)
        if in_doubt or self._summary.new:
            yield self.park(message, str(error), lost=in_doubt or error.general)
        else:
            self._journal.postpone(message.uid, message.size, str(error))

    def count_failure(self, error: RemoteError) -> None:
        """Raise the error where message after message fails: it is not theirs."""
        self._failed_in_a_row += 1
        if self._failed_in_a_row >= MAX_IN_A_ROW:
            raise error

    def count_delivery(self) -> None:
        """Note that a message was delivered, so that failures are counted anew."""
        self._failed_in_a_row = 0
