"""Waits for mail: woken by the server, and with an error that lists what came instead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from restante.developer.mailboxes import mailbox_name
from restante.testing.received import read_received

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from restante.developer.mailboxes import DeveloperMail
    from restante.developer.server import DeveloperServer
    from restante.developer.sessions import SessionCopy
    from restante.testing.received import ReceivedMessage

T = TypeVar("T")

MAX_LISTED = 20  # messages, and sessions, that an error lists


class NoMailError(AssertionError):
    """No such message came, or was removed, in time. The text lists all messages and sessions."""


class UnexpectedMailError(AssertionError):
    """A message came that should not. The text lists all messages and sessions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MailQuery:
    """Which message a test waits for; None matches all.

    Attributes:
        to: the mailbox, in any case. subject, sender, text: a part of the subject, of the sender of
            the envelope, and of the plain text or the HTML, in any case.
        after: a message before which none counts.
        removed: search the messages that were removed, not those that are there.
    """

    to: str | None = None
    subject: str | None = None
    sender: str | None = None
    text: str | None = None
    after: ReceivedMessage | None = None
    removed: bool = False

    def searching(self, server: DeveloperServer) -> Callable[[], ReceivedMessage | None]:
        """Return a function that finds the first message that matches, or None.

        It is called after each event, and parses no message twice.
        """
        after_id = 0 if self.after is None else self.after.id
        list_mail = server.mailboxes.removed_mail if self.removed else server.mailboxes.mail
        parsed: set[int] = set()

        def find() -> ReceivedMessage | None:
            for mail in list_mail(self.to):
                if mail.id > after_id and mail.id not in parsed:
                    parsed.add(mail.id)
                    if (received := self._match(mail)) is not None:
                        return received
            return None

        return find

    def _match(self, mail: DeveloperMail) -> ReceivedMessage | None:
        if not _holds(self.sender, mail.sender):
            return None
        received = read_received(mail)
        if not _holds(self.subject, str(received["subject"] or "")):
            return None
        if self.text is not None and not _holds(self.text, f"{received.text}\n{received.html}"):
            return None
        return received

    def __str__(self) -> str:
        parts = [f" to {mailbox_name(self.to)}"] if self.to is not None else []
        for name in ("subject", "sender", "text"):
            part = getattr(self, name)
            if part is not None:
                parts.append(f" with {part!r} in its {name}")
        return "".join(parts)


def wait_for_mail(server: DeveloperServer, query: MailQuery, timeout: float) -> ReceivedMessage:
    """Return the first message that matches, at the latest after `timeout` seconds.

    Raises NoMailError.
    """
    __tracebackhide__ = True
    received = server.feed.wait_for(query.searching(server), timeout)
    return received or _fail(server, query, timeout)


async def wait_for_mail_async(
    server: DeveloperServer,
    query: MailQuery,
    timeout: float,  # noqa: ASYNC109  # as in wait_for_mail
) -> ReceivedMessage:
    """Do the same without blocking the event loop. Raises NoMailError."""
    __tracebackhide__ = True
    received = await server.feed.wait_for_async(query.searching(server), timeout)
    return received or _fail(server, query, timeout)


def assert_no_mail(server: DeveloperServer, query: MailQuery, within: float) -> None:
    """Return if no message matches, now or within a number of seconds.

    Raises UnexpectedMailError.
    """
    __tracebackhide__ = True
    if server.feed.wait_for(query.searching(server), within) is not None:
        raise UnexpectedMailError(f"a message{query} came\n{describe(server)}")


def _fail(server: DeveloperServer, query: MailQuery, timeout: float) -> ReceivedMessage:
    __tracebackhide__ = True  # pytest shows the line of the test instead
    event = "was removed" if query.removed else "came"
    raise NoMailError(f"no message{query} {event} within {timeout:g} seconds\n{describe(server)}")


def describe(server: DeveloperServer) -> str:
    """Return what came, and the commands of each session, the latest last."""
    messages = [*server.mailboxes.removed_mail(), *server.mailboxes.mail()]
    sessions = server.sessions.all()
    return "\n".join(
        (
            f"messages: {len(messages)}",
            *_latest(messages, _mail_line),
            f"sessions: {len(sessions)}",
            *_latest(sessions, _session_line),
        )
    )


def _latest(values: Sequence[T], describe_one: Callable[[T], str]) -> list[str]:
    ellipsis = ["  ..."] if len(values) > MAX_LISTED else []
    return ellipsis + [f"  {describe_one(value)}" for value in values[-MAX_LISTED:]]


def _mail_line(mail: DeveloperMail) -> str:
    sender = f" from {mail.sender}" if mail.sender else ""
    subject = str(read_received(mail)["subject"] or "")
    return f"{mail.mailbox}: {subject!r}{sender}{', removed' * (mail.removed is not None)}"


def _session_line(session: SessionCopy) -> str:
    end = session.ending if session.ended is not None else "live"
    return f"{session.protocol} {session.user or 'nobody'} ({end}): {', '.join(session.commands)}"


def _holds(part: str | None, text: str) -> bool:
    return part is None or part.lower() in text.lower()
