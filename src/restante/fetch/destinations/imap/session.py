"""A session with an IMAP server: logging in, appending, and asking what is there. RFC 9051.

imapclient does all of it but APPEND, for which it must have a whole message in memory.
"""

from __future__ import annotations

import contextlib
import imaplib
import re
import socket
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from imapclient import IMAPClient, SocketTimeout, imap_utf7
from imapclient.exceptions import IMAPClientError, LoginError

from restante.client.tls import verifying_context
from restante.fetch.interfaces import (
    DeliveryInDoubtError,
    DestinationUnavailableError,
    MessageRefusedError,
)
from restante.net.addresses import is_loopback
from restante.protocol.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from restante.fetch.destinations.imap.address import ImapAddress
    from restante.fetch.spool import SpooledDraft

CONNECT_SECONDS = 20.0
READ_SECONDS = 60.0  # for the next octets of an answer
COMMAND_SECONDS = 120.0  # for all of an answer
LOGOUT_SECONDS = 5.0
SLOWEST = 10_000  # octets a second that a message must go out with, beside COMMAND_SECONDS
PIECE = 256 * 1024  # octets that are read of a message at once
MOST_UNTAGGED = 1000  # lines before the answer to a command

_TEMPORARY = re.compile(
    r"\[(?:OVERQUOTA|UNAVAILABLE|INUSE|SERVERBUG|NOPERM|EXPUNGEISSUED|CONTACTADMIN)\]",
    re.IGNORECASE,
)
_ERRORS = (OSError, IMAPClientError, imaplib.IMAP4.error)
_UNREADABLE = (
    AssertionError, AttributeError, LookupError, MemoryError, RecursionError, TypeError, ValueError,
)  # fmt: skip
"""What imaplib and imapclient raise for answers that they do not expect."""
_MISSING = re.compile(r"\[(?:TRYCREATE|NONEXISTENT)\]", re.IGNORECASE)
_APPENDED = re.compile(r"OK \[APPENDUID ([0-9]{1,10}) ([0-9]{1,10})\]", re.IGNORECASE)
_GMAIL_FOLDERS = (b"\\All", b"\\Junk", b"\\Trash")  # which have all messages, each one once


class FolderNumbers(NamedTuple):
    """The UIDVALIDITY of a folder, and the UID that its next message gets, or a smaller one."""

    validity: int
    uid_next: int


class ImapSession:
    """A connection that is logged in. Its methods raise DestinationError."""

    def __init__(
        self,
        address: ImapAddress,
        password: Callable[[], str] | None,
        token: Callable[[], str] | None,
    ) -> None:
        """Connect and log in, by a token where there is one."""
        self._address = address
        self._tags = 0
        with self._errors("cannot be used"):
            self._client = self._connect()
        try:
            with self._errors("cannot be used"), self._deadline(COMMAND_SECONDS):
                self._start_tls()
            with self._errors("rejected the login"), self._deadline(COMMAND_SECONDS):
                self._log_in(password, token)
        except BaseException:
            self.close()
            raise

    def _connect(self) -> IMAPClient:
        address = self._address
        return IMAPClient(
            address.host,
            address.port,
            ssl=address.tls,
            ssl_context=verifying_context(address.cafile),
            timeout=SocketTimeout(CONNECT_SECONDS, READ_SECONDS),
        )

    def _start_tls(self) -> None:
        address = self._address
        if address.tls:
            return
        if self._client.has_capability("STARTTLS"):
            self._client.starttls(verifying_context(address.cafile))
        elif not is_loopback(address.host):
            raise DestinationUnavailableError(
                f"{address}: the server does not offer STARTTLS, so no password was sent;"
                " use imaps://"
            )

    def _log_in(self, password: Callable[[], str] | None, token: Callable[[], str] | None) -> None:
        user = self._address.user
        if token is not None:
            if self._client.has_capability("AUTH=OAUTHBEARER"):
                self._client.oauthbearer_login(user, token())
            else:
                self._client.oauth2_login(user, token())
        elif password is None:
            raise DestinationUnavailableError(
                f"{self._address}: the password of {user} is missing; name a"
                " to_password_command in accounts.toml, or run `pop3 login`"
            )
        elif self._client.has_capability("AUTH=PLAIN"):
            self._client.plain_login(user, password())
        else:
            self._client.login(user, password())

    def folder_numbers(self) -> FolderNumbers:
        """Return the numbers of the folder, which is made if it is missing and may be made."""
        with self._errors("cannot be used"), self._deadline(COMMAND_SECONDS):
            try:
                found = self._client.folder_status(self._address.folder, ("UIDVALIDITY", "UIDNEXT"))
            except IMAPClientError:
                if not self._address.create or self._client.folder_exists(self._address.folder):
                    raise
                self._client.create_folder(self._address.folder)
                found = self._client.folder_status(self._address.folder, ("UIDVALIDITY", "UIDNEXT"))
            return FolderNumbers(int(found[b"UIDVALIDITY"]), int(found[b"UIDNEXT"]))

    def new_messages(self, uid_next: int) -> dict[int, int]:
        """Return the sizes of the messages since a UID, by their UIDs."""
        with self._errors("cannot be used"), self._deadline(COMMAND_SECONDS):
            self._client.select_folder(self._address.folder, readonly=True)
            uids = self._client.search(["UID", f"{uid_next}:*"])  # with the last one, always
            return self._sizes([uid for uid in uids if uid >= uid_next])

    def gmail_messages(self, message_id: str) -> Iterator[dict[int, int]]:
        """Yield the sizes of messages with a Message-ID, for each folder of Gmail that may have it.

        Nothing, if the server is another. Google's page "IMAP extensions" has X-GM-RAW.
        """
        if not self._client.has_capability("X-GM-EXT-1"):
            return
        with self._errors("cannot be used"), self._deadline(COMMAND_SECONDS):
            folders = self._client.list_folders()
        for flags, _, name in folders:
            if any(flag in flags for flag in _GMAIL_FOLDERS):
                with self._errors("cannot be used"), self._deadline(COMMAND_SECONDS):
                    self._client.select_folder(name, readonly=True)
                    found = self._client.gmail_search(f"rfc822msgid:{message_id}", charset=None)
                    sizes = self._sizes(found)
                yield sizes

    def _sizes(self, uids: list[int]) -> dict[int, int]:
        found = self._client.fetch(uids, ("RFC822.SIZE",)) if uids else {}
        return {uid: int(row[b"RFC822.SIZE"]) for uid, row in found.items()}

    def pieces(self, uid: int, size: int) -> Iterator[bytes]:
        """Yield the octets of a message of the folder that was searched last."""
        for start in range(0, max(size, 1), PIECE):
            with self._errors("cannot be used"), self._deadline(COMMAND_SECONDS):
                found = self._client.fetch([uid], (f"BODY.PEEK[]<{start}.{PIECE}>",))
            octets = next(
                (value for key, value in found.get(uid, {}).items() if key.startswith(b"BODY[]")),
                None,
            )
            if not octets:
                return
            yield octets

    def append(self, draft: SpooledDraft, date: datetime | None) -> FolderNumbers | None:
        """Append a message to the folder, in pieces, and return the folder's numbers then.

        None, if the server does not say the message's UID by APPENDUID: RFC 4315.
        """
        plus = self._has_long_literals(draft.octets)
        self._tags += 1
        tag = f"RESTANTE{self._tags}"
        folder = imap_utf7.encode(self._address.folder)
        quoted = b'"' + folder.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
        when = f" {imaplib.Time2Internaldate(date)}" if date is not None else ""
        head = b"%s APPEND %s%s {%d%s}\r\n" % (
            tag.encode(), quoted, when.encode(), draft.octets, b"+" if plus else b"",
        )  # fmt: skip
        with self._deadline(COMMAND_SECONDS + draft.octets / SLOWEST):
            with self._errors("cannot be used"):
                self._imap.send(head)
                if not plus and (line := self._answer(tag)) is not None:
                    raise _refusal(self._address, line)
                for piece in draft.chunks():
                    self._imap.send(piece)
            try:
                self._imap.send(b"\r\n")
                line = self._answer(tag) or ""
            except _ERRORS as error:
                text = f"{self._address}: the connection ended before the answer ({error})"
                raise DeliveryInDoubtError(printable(text)) from None
        if not line.upper().startswith("OK"):
            raise _refusal(self._address, line)
        said = _APPENDED.match(line)
        return FolderNumbers(int(said[1]), int(said[2]) + 1) if said else None

    def _has_long_literals(self, octets: int) -> bool:
        """Return whether a literal of this size need not wait. RFC 7888."""
        small = octets <= 4096 and self._client.has_capability("LITERAL-")
        return small or bool(self._client.has_capability("LITERAL+"))

    def _answer(self, tag: str) -> str | None:
        """Return the answer to a command, None where the server waits for its literal."""
        for _ in range(MOST_UNTAGGED):
            line: bytes = self._imap.readline()
            if not line:
                raise ConnectionResetError("the server closed the connection")
            text = line.decode("utf-8", "replace").strip()
            if text.startswith("+"):
                return None
            word, _, rest = text.partition(" ")
            if word == tag:
                return rest
            if text.upper().startswith("* BYE"):
                raise ConnectionResetError(text)
        raise ConnectionResetError("the server sends no answer, but other lines")

    @property
    def _imap(self) -> Any:
        return self._client._imap  # noqa: SLF001  # imapclient has no APPEND in pieces

    @contextlib.contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        """Turn errors of the connection and of commands into DestinationUnavailableError."""
        try:
            yield
        except _ERRORS as error:
            what = "rejected the login" if isinstance(error, LoginError) else what
            reason = getattr(error, "strerror", None) or str(error)
            text = printable(f"{self._address}: {what}: {reason}")[:500]
            raise DestinationUnavailableError(f"{text}{_hint(error)}") from None
        except _UNREADABLE as error:
            text = f"{self._address}: the server's answer cannot be read ({type(error).__name__})"
            raise DestinationUnavailableError(text) from None

    @contextlib.contextmanager
    def _deadline(self, seconds: float) -> Iterator[None]:
        """End the connection where all of the block takes longer: each read may be in time."""
        timer = threading.Timer(seconds, self._shut_down)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _shut_down(self) -> None:
        with contextlib.suppress(OSError):
            self._client.socket().shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Log out, and close the connection. It raises nothing."""
        with contextlib.suppress(*_ERRORS, *_UNREADABLE), self._deadline(LOGOUT_SECONDS):
            self._client.logout()
        with contextlib.suppress(*_ERRORS):
            self._client.shutdown()


def _hint(error: Exception) -> str:
    """Return what to do about an error, "" where its text says enough."""
    if isinstance(error, LoginError):
        return "; check the output of to_password_command, or sign in again by `pop3 login`"
    if getattr(error, "reason", "") == "WRONG_VERSION_NUMBER":  # of ssl.SSLError
        return "; this port has no TLS at the beginning, so use imap://, or the port of imaps://"
    return ""


def _refusal(address: ImapAddress, line: str) -> DestinationUnavailableError | MessageRefusedError:
    """Return the error for an answer that is not OK."""
    text = printable(f"{address}: {line}")[:500]
    if _MISSING.search(line):
        return DestinationUnavailableError(f"{text}; create the folder, or add ?create=true")
    if _TEMPORARY.search(line) or line.upper().startswith("BAD"):
        return DestinationUnavailableError(text)
    return MessageRefusedError(text)
