"""SMTP and LMTP as a destination: at most one double a crash, which RFC 1047 explains.

No server can be asked whether it has a message. So the reply to the final dot is all there is, and
`deliver` returns at once with it, before QUIT: the journal is written while the session stays open.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, cast

from restante.fetch.destinations.smtp.accepted_recipients import AcceptedRecipients
from restante.fetch.destinations.smtp.envelope import find_sender
from restante.fetch.destinations.smtp.login import connect
from restante.fetch.destinations.smtp.session import SmtpDeadlines
from restante.fetch.destinations.smtp.transaction import (
    Letter,
    SessionLostError,
    SmtpTransaction,
)
from restante.fetch.interfaces import (
    TRACE_FIELD,
    DeliveryInDoubtError,
    DestinationError,
    DestinationUnavailableError,
    MessageRefusedError,
    NotDeliveredError,
    Settled,
)
from restante.fetch.spool import Spool, SpooledDraft
from restante.protocol.errors import LocalError, RemoteError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from restante.fetch.destinations.smtp.address import SmtpAddress
    from restante.fetch.destinations.smtp.login import Login
    from restante.fetch.destinations.smtp.session import SmtpSession
    from restante.fetch.interfaces import Draft, SourceMessage

_WORST_FIRST = (DeliveryInDoubtError, DestinationUnavailableError, DestinationError)


class SmtpDestination:
    """A server that accepts mail by SMTP or LMTP.

    `state` is the folder of the fetcher's state. `login` has what the server authenticates.

    Attributes:
        trace: gets ">" or "<" and each line of a session, without secrets; None for no trace.
    """

    batch = 1  # a message that is prepared and not delivered may come twice

    def __init__(
        self,
        url: str,
        address: SmtpAddress,
        state: str,
        login: Login | None = None,
        deadlines: SmtpDeadlines | None = None,
    ) -> None:
        self.url = url
        self._address = address
        self._login = login
        self._deadlines = deadlines or SmtpDeadlines()
        self.trace: Callable[[str, str], None] | None = None
        self._spool = Spool(f"{state}/spool")
        self._accepted = AcceptedRecipients(f"{state}/accepted", url)
        self._session: SmtpSession | None = None

    def open(self) -> None:
        """Connect and authenticate."""
        self._spool.open()
        self._accepted.remove_old(time.time())
        self._session = self._connect()

    def start(self, message: SourceMessage) -> Draft:
        """Return a draft in the spool."""
        return self._spool.start(message)

    def prepare(self, drafts: Sequence[Draft]) -> list[str]:
        """Return the ids of the messages, which is all that can be known of them."""
        return [cast(SpooledDraft, draft).delivery_id for draft in drafts]

    def deliver(self, draft: Draft) -> None:
        """Send a message to those of its recipients that do not have it."""
        spooled = cast(SpooledDraft, draft)
        letter = self._address_letter(spooled)
        try:
            if letter.recipients:
                self._transmit(letter)
        except DeliveryInDoubtError:
            raise
        except DestinationUnavailableError as error:
            raise NotDeliveredError(str(error), general=error.general) from error
        self._accepted.forget(spooled.delivery_id)
        draft.discard()

    def sync(self) -> None:
        """Do nothing: a server that says 250 has the message."""

    def settle(self, token: str) -> Settled:
        """Return UNKNOWN. Raises MessageRefusedError instead where doubt = "hold" is set."""
        if self._address.hold:
            raise MessageRefusedError(
                f'the message may be delivered already, and doubt = "hold" is set: search the '
                f"mailbox for {TRACE_FIELD}: {token}, then use --skip, or --retry"
            )
        return Settled.UNKNOWN

    def close(self) -> None:
        """Say QUIT."""
        if self._session:
            self._session.leave()
            self._session = None
        self._spool.close()

    def _address_letter(self, draft: SpooledDraft) -> Letter:
        header = draft.content.header if draft.content else b""
        sender = self._address.sender
        if sender is None:
            sender = find_sender(header)
        accepted = self._accepted.find(draft.delivery_id)
        recipients = self._address.recipients.find(header)
        return Letter(
            draft, sender, [recipient for recipient in recipients if recipient not in accepted]
        )

    def _transmit(self, letter: Letter) -> None:
        """Send a message. Where only some recipients accept it, note them, and raise the reason."""
        refusals = self._begin(letter).send(letter)
        left = [refusal for refusal in refusals.values() if refusal]
        if not left:
            return
        accepted = [recipient for recipient, refusal in refusals.items() if not refusal]
        if accepted:
            self._note(letter, accepted)
        raise next(error for kind in _WORST_FIRST for error in left if isinstance(error, kind))

    def _note(self, letter: Letter, accepted: Sequence[str]) -> None:
        try:
            self._accepted.add(letter.draft.delivery_id, accepted)
        except DestinationUnavailableError as error:
            raise DeliveryInDoubtError(
                f"{', '.join(accepted)} have the message; {error}"
            ) from error

    def _connect(self) -> SmtpSession:
        return connect(self._address, self._login, self._deadlines, self.trace)

    def _begin(self, letter: Letter) -> SmtpTransaction:
        """Return a transaction whose sender was accepted, in a new session if the old one ended."""
        if self._session and self._session.sock:
            transaction = SmtpTransaction(self._session, self._address, self._deadlines)
            try:
                transaction.begin(letter)
                return transaction
            except SessionLostError:  # servers end idle sessions, and nothing was sent in it
                pass
        try:
            self._session = self._connect()
        except (DestinationUnavailableError, RemoteError, LocalError) as error:
            raise NotDeliveredError(str(error), general=True) from error
        transaction = SmtpTransaction(self._session, self._address, self._deadlines)
        transaction.begin(letter)
        return transaction
