"""The server for tests: developer mode in a thread, with a face for tests."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from restante.developer.server import DeveloperOptions, DeveloperServer
from restante.protocol.server.sasl import SERVER_MECHANISMS
from restante.protocol.server.settings import AuthOffer, ProtocolSettings, require_several
from restante.server.log import event_log
from restante.storage.errors import BusyError
from restante.testing.account import MemoryAccount
from restante.testing.received import encode_message, read_received
from restante.testing.waiting import (
    MailQuery,
    assert_no_mail,
    wait_for_mail,
    wait_for_mail_async,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from restante.developer.sessions import SessionCopy
    from restante.server.policies import ClearText
    from restante.testing.received import GivenMessage, ReceivedMessage

SETTLING = 10.0  # seconds for the log to get the line of a session that has said QUIT


class MemoryServer:
    """A running server. Its methods may be called from any thread, while it serves.

    Attributes:
        host: "127.0.0.1".
        port: POP3 in clear text. With `tls=True` it offers STLS.
        tls_port: POP3 in TLS from the first octet, None without TLS.
        smtp_port: SMTP in clear text, for any address and any login. With `tls=True` it offers
            STARTTLS.
        smtps_port: SMTP in TLS from the first octet, None without TLS.
        certificate: a PEM file with which clients can verify TLS, None without TLS. All servers of
            a process have the same.
    """

    def __init__(self, server: DeveloperServer, log: io.StringIO) -> None:
        self._server = server
        self._log = log
        self.host: str = server.host
        self.port: int = server.port
        self.tls_port: int | None = server.tls_port
        self.smtp_port: int = server.smtp_port or 0
        self.smtps_port: int | None = server.smtps_port
        authority = server.authority
        self.certificate: Path | None = None if authority is None else Path(authority)

    def account(
        self, user: str = "ann", password: str | None = None, *, token: str | None = None
    ) -> MemoryAccount:
        """Add the account `user`, or change it, and return it.

        Without a `password`, one is made up. The `token` is accepted by XOAUTH2 and OAUTHBEARER; it
        is made up, too.
        """
        account = MemoryAccount(
            self._server, user, password or secrets.token_hex(8), token or secrets.token_hex(16)
        )
        self._server.accounts.add(user, account.password, account.token)
        self._server.mailboxes.create(user)
        return account

    def add(self, user: str, password: str, *messages: GivenMessage) -> None:
        """Add the account `user`, or change its `password`, and deliver `messages` to it.

        Raises TypeError and OSError, as `deliver` does.
        """
        account = self.account(user, password)
        for message in messages:
            account.deliver(message)

    def deliver(self, user: str, message: GivenMessage, *, uid: str | None = None) -> str:
        """Deliver `message` to `user`, and return its unique-id, which may be chosen: `uid`.

        See `MemoryAccount.deliver`. Raises TypeError, ValueError and OSError.
        """
        return self._server.mailboxes.add(user, encode_message(message), uid=uid).uid

    def messages(self, user: str, *, timeout: float = 0) -> list[bytes]:
        """Return the octets of the messages of `user`, as they were delivered.

        They are those of now. With a `timeout` in seconds, this waits until no session holds the
        maildrop. Raises `restante.storage.BusyError`: one still does.
        """
        mailboxes = self._server.mailboxes
        is_free = timeout == 0 or self._server.feed.wait_for(
            lambda: mailboxes.holder(user) is None, timeout
        )
        if not is_free:
            raise BusyError(f"the maildrop of {user} is in use")
        return [mail.octets for mail in mailboxes.mail(user)]

    @property
    def mail(self) -> list[ReceivedMessage]:
        """The messages of all mailboxes, in the order in which they came."""
        return [read_received(mail) for mail in self._server.mailboxes.mail()]

    @property
    def sessions(self) -> list[SessionCopy]:
        """The sessions of POP3 and SMTP, live and over, the first one first."""
        return self._server.sessions.all()

    @property
    def transcript(self) -> str:
        """All lines of clients and server, with secrets starred, such as `1 C USER ann`."""
        return "\n".join(str(session) for session in self.sessions)

    @property
    def log(self) -> str:
        """The server's log as text. It has the line of each session that has said QUIT."""
        self._server.feed.wait_for(lambda: not any(map(_is_ending, self.sessions)), SETTLING)
        return self._log.getvalue()

    def wait(  # noqa: PLR0913  # each narrows it down
        self,
        *,
        to: str | None = None,
        subject: str | None = None,
        sender: str | None = None,
        text: str | None = None,
        after: ReceivedMessage | None = None,
        timeout: float = 5,
    ) -> ReceivedMessage:
        """Wait for a message, and return it. A message that is there already counts, too.

        `to` is the address of the envelope. `subject`, `sender` and `text` are parts of the
        subject, of the sender of the envelope, and of the text or the HTML, in any case. `after` is
        a message before which none counts.

        Raises NoMailError after `timeout` seconds: its text lists what came, and all sessions.
        """
        __tracebackhide__ = True
        query = MailQuery(to=to, subject=subject, sender=sender, text=text, after=after)
        return wait_for_mail(self._server, query, timeout)

    async def wait_async(  # noqa: PLR0913  # as in wait
        self,
        *,
        to: str | None = None,
        subject: str | None = None,
        sender: str | None = None,
        text: str | None = None,
        after: ReceivedMessage | None = None,
        timeout: float = 5,  # noqa: ASYNC109  # as in wait
    ) -> ReceivedMessage:
        """Wait without blocking the event loop: `await server.wait_async(...)`.

        `to`, `subject`, `sender`, `text`, `after` and `timeout` are those of `wait`. Raises
        NoMailError.
        """
        __tracebackhide__ = True
        query = MailQuery(to=to, subject=subject, sender=sender, text=text, after=after)
        return await wait_for_mail_async(self._server, query, timeout)

    def assert_none(
        self, *, to: str | None = None, subject: str | None = None, within: float = 0
    ) -> None:
        """Check that no message matches `to` and `subject`, now or `within` a number of seconds.

        Raises UnexpectedMailError.
        """
        __tracebackhide__ = True
        assert_no_mail(self._server, MailQuery(to=to, subject=subject), within)

    def wait_closed(self, timeout: float = 5) -> None:
        """Wait until no session is live. Raises TimeoutError after `timeout` seconds."""
        if not self._server.feed.wait_for(
            lambda: not any(session.live for session in self.sessions), timeout
        ):
            raise TimeoutError(f"a session is live after {timeout:g} seconds\n{self.transcript}")

    def misbehave(self, *faults: str) -> None:
        """Let the server misbehave, in sessions that begin from now on.

        A fault is a name that `pop3 misbehave list` has, a rule such as "RETR#2: -ERR later" or
        "RCPT: 451 later", or a sum of names with "+". Names of SMTP begin with "smtp-". The faults
        of one call replace those before. A fault of TLS must be on from the beginning:
        `serving(fault=...)`. Raises ValueError: a fault is unknown.
        """
        self._server.faults.set(faults)

    def behave(self) -> None:
        """End all faults but those of single accounts."""
        self._server.faults.set(())


@contextlib.contextmanager
def serving(  # noqa: PLR0913  # each is one thing that a test may need
    *,
    tls: bool = False,
    settings: ProtocolSettings | None = None,
    lock_patience: float = 3,
    clear_text: ClearText = "loopback",
    offer: Collection[str] | None = None,
    without: Collection[str] = (),
    any_account: bool = False,
    fault: str = "",
) -> Iterator[MemoryServer]:
    """Give a server that runs while the block runs. At its end all sessions end.

    `tls` adds STLS, STARTTLS and ports for TLS. `settings` has timeouts, the greeting and so on.
    `lock_patience` is how many seconds a login waits for a maildrop in use. `clear_text` is from
    where POP3 accepts passwords without TLS: "loopback", "always" or "never". `offer` has the
    mechanisms of AUTH, such as ["SCRAM-SHA-256", "XOAUTH2"], and may have "APOP"; None is PLAIN and
    LOGIN. USER and PASS are there with all of them. `without` has capabilities that are not there,
    such as ["UIDL"], or ["USER"] for a server without USER. With `any_account`, any name can log in
    with any password. `fault` is one of `MemoryServer.misbehave`.

    Raises OSError: no port is free. Raises ValueError: a mechanism, a capability or a fault is
    unknown.
    """
    lines = io.StringIO()
    settings, mechanisms = _offer(settings or ProtocolSettings(), offer)
    with contextlib.ExitStack() as stack:
        log, writer = event_log.configure_log("text", lines, threaded=False)
        stack.callback(writer.close)
        options = DeveloperOptions(
            tls=tls,
            faults=[fault] if fault else [],
            any_account=any_account,
            clear_text=clear_text,
            lock_patience=lock_patience,
            settings=settings,
            offer=mechanisms,
            without=without,
            log=log,
        )
        server = stack.enter_context(DeveloperServer(options))
        yield MemoryServer(server, lines)


def _offer(
    settings: ProtocolSettings, offer: Collection[str] | None
) -> tuple[ProtocolSettings, AuthOffer]:
    """Return settings and offer for the mechanisms of a test. Raises ValueError."""
    if offer is None:
        return settings, AuthOffer()
    require_several("offer", offer)
    names = frozenset(name.upper() for name in offer)
    mechanisms = {"APOP", *SERVER_MECHANISMS}
    unknown = sorted(names - mechanisms)
    if unknown:
        raise ValueError(
            f"unknown mechanism {unknown[0]}; there are {', '.join(sorted(mechanisms))}"
        )
    if "APOP" in names:
        settings = dataclasses.replace(settings, apop=True)
    return settings, AuthOffer(mechanisms=names - {"APOP"})


def _is_ending(session: SessionCopy) -> bool:
    return session.live and session.ending != ""
