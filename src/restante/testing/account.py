"""One account of a server for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from restante.developer.mailboxes import mailbox_name
from restante.testing.received import encode_message, read_received
from restante.testing.waiting import (
    MailQuery,
    assert_no_mail,
    wait_for_mail,
    wait_for_mail_async,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from restante.developer.mailboxes import DeveloperMail
    from restante.developer.server import DeveloperServer
    from restante.developer.sessions import SessionCopy
    from restante.testing.received import GivenMessage, ReceivedMessage


class MemoryAccount:
    """An account: what a program logs in with, and what a test sees of its mail.

    Attributes:
        user: its name.
        password: the password of the account.
        token: what XOAUTH2 and OAUTHBEARER accept, besides the password.
        host: "127.0.0.1".
        port: POP3 in clear text. With `tls=True` the server offers STLS there.
        tls_port: POP3 in TLS from the first octet, None without TLS.
    """

    def __init__(self, server: DeveloperServer, user: str, password: str, token: str) -> None:
        self._server = server
        self.user: str = user
        self.password: str = password
        self.token: str = token
        self.host: str = server.host
        self.port: int = server.port
        self.tls_port: int | None = server.tls_port

    @property
    def url(self) -> str:
        """The account as a URL of `restante.connect`, in TLS where the server has it."""
        tls = self.tls_port is not None
        scheme, host = ("pop3s", "localhost") if tls else ("pop3", self.host)
        return f"{scheme}://{quote(self.user, safe='@')}@{host}:{self.tls_port or self.port}"

    @property
    def messages(self) -> list[ReceivedMessage]:
        """The messages that are there now, also while a session holds the maildrop."""
        return [read_received(mail) for mail in self._server.mailboxes.mail(self.user)]

    @property
    def removed(self) -> list[ReceivedMessage]:
        """The messages that sessions have removed, in the order of their removal."""
        return [read_received(mail) for mail in self._server.mailboxes.removed_mail(self.user)]

    @property
    def sessions(self) -> list[SessionCopy]:
        """The sessions of POP3 that logged in, or tried to, by this name, the first one first."""
        name = mailbox_name(self.user)
        return [
            session
            for session in self._server.sessions.all()
            if name in (mailbox_name(session.claimed), mailbox_name(session.user))
        ]

    def deliver(self, message: GivenMessage, *, uid: str | None = None) -> str:
        """Deliver a message, and return its unique-id.

        A message is text, octets, an object of `email`, or the path of a file with one. `uid` is
        the unique-id that it gets, 1 to 70 printable characters of ASCII without blanks. Sessions
        under way do not see the message.

        Raises TypeError: this is not a message. Raises ValueError: the unique-id is in use, or not
        valid. Raises OSError: a file cannot be read.
        """
        return self._server.mailboxes.add(self.user, encode_message(message), uid=uid).uid

    def find_lost(self, kept: Iterable[GivenMessage]) -> list[ReceivedMessage]:
        """Return the removed messages that a program has not `kept`.

        A message is kept if one that the program has contains its header and its body, as the
        session got them. Line ends, and empty lines at its end, make no difference.

        Raises TypeError: a message is not text, octets, an object of `email` or the path of a file.
        """
        kept_octets = [_normalize(encode_message(message)) for message in kept]
        return [
            read_received(mail)
            for mail in self._server.mailboxes.removed_mail(self.user)
            if not any(
                _contains(message, _normalize(_octets_served(mail))) for message in kept_octets
            )
        ]

    def clear(self) -> None:
        """Remove all messages."""
        self._server.mailboxes.remove({mail.id for mail in self._server.mailboxes.mail(self.user)})

    def wait(
        self,
        *,
        subject: str | None = None,
        sender: str | None = None,
        text: str | None = None,
        after: ReceivedMessage | None = None,
        timeout: float = 5,
    ) -> ReceivedMessage:
        """Wait for a message of this account, and return it.

        `subject`, `sender`, `text`, `after` and `timeout` are those of `MemoryServer.wait`. Raises
        NoMailError.
        """
        __tracebackhide__ = True
        query = MailQuery(to=self.user, subject=subject, sender=sender, text=text, after=after)
        return wait_for_mail(self._server, query, timeout)

    async def wait_async(
        self,
        *,
        subject: str | None = None,
        sender: str | None = None,
        text: str | None = None,
        after: ReceivedMessage | None = None,
        timeout: float = 5,  # noqa: ASYNC109  # as in wait
    ) -> ReceivedMessage:
        """Wait without blocking the event loop: `await account.wait_async(...)`.

        `subject`, `sender`, `text`, `after` and `timeout` are those of `MemoryServer.wait`. Raises
        NoMailError.
        """
        __tracebackhide__ = True
        query = MailQuery(to=self.user, subject=subject, sender=sender, text=text, after=after)
        return await wait_for_mail_async(self._server, query, timeout)

    def wait_removed(self, *, subject: str | None = None, timeout: float = 5) -> ReceivedMessage:
        """Wait until a message of this account was removed by a program, and return it.

        `subject` and `timeout` are those of `MemoryServer.wait`. Raises NoMailError.
        """
        __tracebackhide__ = True
        query = MailQuery(to=self.user, subject=subject, removed=True)
        return wait_for_mail(self._server, query, timeout)

    def assert_none(self, *, subject: str | None = None, within: float = 0) -> None:
        """Check that no message matches `subject`, now or `within` a number of seconds.

        Raises UnexpectedMailError.
        """
        __tracebackhide__ = True
        assert_no_mail(self._server, MailQuery(to=self.user, subject=subject), within)

    def misbehave(self, *faults: str) -> None:
        """Let the server misbehave for this account, in sessions that begin from now on.

        A fault is a name that `pop3 misbehave list` has, a rule such as "RETR#2: -ERR later", or a
        sum of names with "+". The faults of one call replace those before. A fault that concerns
        the greeting, CAPA or TLS comes before the name is known: use `MemoryServer.misbehave`.
        Raises ValueError: a fault is unknown.
        """
        self._server.faults.set(faults, self.user)

    def behave(self) -> None:
        """End all faults of this account."""
        self._server.faults.set((), self.user)


def _octets_served(mail: DeveloperMail) -> bytes:
    return mail.octets if mail.shown is None else mail.shown


def _contains(kept: bytes, message: bytes) -> bool:
    header, _, body = message.partition(b"\n\n")
    return header in kept and body in kept


def _normalize(octets: bytes) -> bytes:
    return octets.replace(b"\r\n", b"\n").rstrip(b"\n")
