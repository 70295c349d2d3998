"""A session with an IMAP server: logging in, appending, and asking what is there. RFC 9051.

imapclient does all of it but APPEND, for which it must have a whole message in memory.
"""

from __future__ import annotations

import ast
import contextlib
import imaplib
import re
import ssl
from typing import TYPE_CHECKING, NamedTuple

from imapclient import imap_utf7
from imapclient.exceptions import IMAPClientError, LoginError

from restante.fetch.destinations.certificate_errors import describe_certificate_error
from restante.fetch.destinations.imap.connection import BoundedImapClient, ImapBounds
from restante.fetch.interfaces import (
    DeliveryInDoubtError,
    DestinationUnavailableError,
    MessageRefusedError,
)
from restante.net.addresses import is_loopback
from restante.protocol.client.hidden_secrets import HiddenSecrets
from restante.protocol.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from restante.fetch.destinations.imap.address import ImapAddress
    from restante.fetch.spool import SpooledDraft

PIECE = 256 * 1024  # octets that are read of a message at once

_TEMPORARY = re.compile(
    r"\[(?:OVERQUOTA|UNAVAILABLE|INUSE|SERVERBUG|NOPERM|EXPUNGEISSUED|CONTACTADMIN)\]",
    re.IGNORECASE,
)
_ERRORS = (OSError, IMAPClientError, imaplib.IMAP4.error)
_UNREADABLE = (
    AssertionError, AttributeError, LookupError, MemoryError, RecursionError, TypeError, ValueError,
)  # fmt: skip
"""The errors of imaplib and imapclient for answers that they do not expect."""
_SPELLED = re.compile(r"""\[?(b'(?:[^'\\]|\\.)*'|b"(?:[^"\\]|\\.)*")\]?""")
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
        bounds: ImapBounds | None = None,
    ) -> None:
        """Connect and log in, by a token where there is one."""
        self._address = address
        self._bounds = bounds or ImapBounds()
        self._tags = 0
        self._secrets = HiddenSecrets()
        with self._errors():
            self._client = BoundedImapClient(address, self._bounds)
        try:
            with self._errors():
                self._start_tls()
                self._log_in(password, token)
        except BaseException:
            self.close()
            raise

    def _start_tls(self) -> None:
        address = self._address
        if address.tls:
            return
        if self._client.has_capability("STARTTLS"):
            self._client.starttls()
        elif not is_loopback(address.host):
            raise DestinationUnavailableError(
                f"{address}: the server does not offer STARTTLS, so no password was sent;"
                " use imaps://"
            )

    def _log_in(self, password: Callable[[], str] | None, token: Callable[[], str] | None) -> None:
        user = self._address.user
        secret = token() if token is not None else password() if password is not None else ""
        self._secrets.add(secret)
        if token is not None:
            if self._client.has_capability("AUTH=OAUTHBEARER"):
                self._client.oauthbearer_login(user, secret)
            else:
                self._client.oauth2_login(user, secret)
        elif password is None:
            raise DestinationUnavailableError(
                f"{self._address}: the password of {user} is missing; name a"
                " to_password_command in accounts.toml, or run `pop3 login`"
            )
        elif self._client.has_capability("AUTH=PLAIN"):
            self._client.plain_login(user, secret)
        elif not f"{user}{secret}".isascii():  # RFC 3501 section 9: a quoted string is ASCII
            raise DestinationUnavailableError(
                f"{self._address}: the server does not offer AUTH=PLAIN, and LOGIN has no letters"
                " beyond ASCII; use a name and a password without them"
            )
        else:
            quoted = re.sub(r'(["\\])', r"\\\1", user)  # imaplib quotes the password alone
            self._client.login(f'"{quoted}"', secret)

    def folder_numbers(self) -> FolderNumbers:
        """Return the numbers of the folder, which is made if it is missing and may be made."""
        with self._command(self._bounds.answer):
            try:
                found = self._client.folder_status(self._address.folder, ("UIDVALIDITY", "UIDNEXT"))
            except IMAPClientError:
                if self._client.folder_exists(self._address.folder):
                    raise
                if not self._address.create:
                    raise _missing(f"{self._address}: the server does not have it") from None
                self._client.create_folder(self._address.folder)
                found = self._client.folder_status(self._address.folder, ("UIDVALIDITY", "UIDNEXT"))
            return FolderNumbers(int(found[b"UIDVALIDITY"]), int(found[b"UIDNEXT"]))

    def new_messages(self, uid_next: int) -> dict[int, int]:
        """Return the sizes of the messages since a UID, by their UIDs."""
        with self._command(self._bounds.list):
            self._client.select_folder(self._address.folder, readonly=True)
            uids = self._client.search(["UID", f"{uid_next}:*"])  # with the last one, always
            return self._sizes([uid for uid in uids if uid >= uid_next])

    def gmail_messages(self, message_id: str) -> Iterator[dict[int, int]]:
        """Yield the sizes of messages with a Message-ID, for each folder of Gmail that may have it.

        Nothing, if the server is another. Google's page "IMAP extensions" has X-GM-RAW.
        """
        with self._command(self._bounds.list):
            at_gmail = self._client.has_capability("X-GM-EXT-1")
            folders = self._client.list_folders() if at_gmail else ()
        for flags, _, name in folders:
            if any(flag in flags for flag in _GMAIL_FOLDERS):
                with self._command(self._bounds.list):
                    self._client.select_folder(name, readonly=True)
                    uids = self._client.gmail_search(f"rfc822msgid:{message_id}", charset=None)
                    sizes = self._sizes(uids)
                yield sizes

    def _sizes(self, uids: list[int]) -> dict[int, int]:
        rows = self._client.fetch(uids, ("RFC822.SIZE",)) if uids else {}
        return {uid: int(row[b"RFC822.SIZE"]) for uid, row in rows.items()}

    def contents(self, sizes: Mapping[int, int]) -> Iterator[Iterator[bytes]]:
        """Yield the octets of some messages of the folder that was searched last, in pieces."""
        octets = sum(sizes.values())
        seconds = self._bounds.command + octets / self._bounds.slowest
        self._client.connection.allow(seconds, 2 * octets + self._bounds.answer)
        for uid, size in sizes.items():
            yield self._pieces(uid, size)

    def _pieces(self, uid: int, size: int) -> Iterator[bytes]:
        for start in range(0, max(size, 1), PIECE):
            with self._errors():
                rows = self._client.fetch([uid], (f"BODY.PEEK[]<{start}.{PIECE}>",))
            octets = next(
                (value for key, value in rows.get(uid, {}).items() if key.startswith(b"BODY[]")),
                None,
            )
            if not octets:
                return
            yield octets

    def append(self, draft: SpooledDraft, date: datetime | None) -> FolderNumbers | None:
        """Append a message to the folder, in pieces, and return the folder's numbers then.

        None, if the server does not say the message's UID by APPENDUID: RFC 4315.
        """
        self._tags += 1
        tag = f"RESTANTE{self._tags}"
        connection = self._client.connection
        seconds = self._bounds.command + draft.octets / self._bounds.slowest
        connection.allow(seconds, self._bounds.answer)
        with self._errors():
            plus = self._has_long_literals(draft.octets)
            connection.send(self._append_command(tag, draft.octets, date, plus=plus))
            if not plus and (line := self._answer(tag)) is not None:
                raise _refusal(self._address, line)
            self._send_literal(draft, tag)
            if connection.has_received(f"{tag} OK".encode()):
                raise ConnectionAbortedError("the server accepted the message before it came")
        try:
            connection.send(b"\r\n")
            while (line := self._answer(tag)) is None:
                pass  # nothing more is due that the server could wait for
        except _ERRORS as error:
            text = f"{self._address}: the connection ended before the answer: {_reason(error)}"
            raise DeliveryInDoubtError(printable(text)[:500]) from None
        status = line.partition(" ")[0].upper()
        if status not in ("OK", "NO", "BAD"):  # RFC 9051 section 7.1
            text = f'{self._address}: the answer "{line}" to the message is not valid IMAP'
            raise DeliveryInDoubtError(printable(text)[:500])
        if status != "OK":
            raise _refusal(self._address, line)
        appended = _APPENDED.match(line)
        return FolderNumbers(int(appended[1]), int(appended[2]) + 1) if appended else None

    def _send_literal(self, draft: SpooledDraft, tag: str) -> None:
        """Send a message. Raises DestinationError: the server hung up; it may have said why."""
        connection = self._client.connection
        for piece in draft.chunks():
            try:
                connection.send(piece)
            except OSError:
                if connection.has_received(f"{tag} NO".encode()) and (line := self._answer(tag)):
                    raise _refusal(self._address, line) from None
                raise

    def _append_command(self, tag: str, octets: int, date: datetime | None, *, plus: bool) -> bytes:
        """Return the command up to its literal."""
        folder = imap_utf7.encode(self._address.folder)
        quoted = b'"' + folder.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
        when = f" {imaplib.Time2Internaldate(date)}" if date is not None else ""
        literal = f"{{{octets}{'+' if plus else ''}}}"
        return b"%s APPEND %s%s %s\r\n" % (
            tag.encode(), quoted, when.encode(), literal.encode(),
        )  # fmt: skip

    def _has_long_literals(self, octets: int) -> bool:
        """Return whether a literal of this size need not wait. RFC 7888."""
        small = octets <= 4096 and self._client.has_capability("LITERAL-")
        return small or bool(self._client.has_capability("LITERAL+"))

    def _answer(self, tag: str) -> str | None:
        """Return the answer to a command, None where the server waits for its literal."""
        while line := self._client.connection.readline():
            text = line.decode("utf-8", "replace").strip()
            if text.startswith("+"):
                return None
            word, _, rest = text.partition(" ")
            if word == tag:
                return rest.lstrip()
            if text.upper().startswith("* BYE"):
                raise ConnectionResetError(text)
        raise ConnectionResetError("the server closed the connection")

    @contextlib.contextmanager
    def _command(self, octets: int) -> Iterator[None]:
        """Bound the time and the octets of a command, and turn its errors."""
        self._client.connection.allow(self._bounds.command, octets)
        with self._errors():
            yield

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn errors of the connection and of commands into DestinationUnavailableError."""
        try:
            yield
        except _ERRORS as error:
            what = "rejected the login" if isinstance(error, LoginError) else "cannot be used"
            said = self._secrets.redact(_reason(error))
            text = printable(f"{self._address}: {what}: {said}")[:500]
            broken = isinstance(error, (OSError, imaplib.IMAP4.abort))
            text = f"{text}{_hint(error)}"
            raise DestinationUnavailableError(text, general=broken) from None
        except _UNREADABLE:
            text = f"{self._address}: an answer of the server is not valid IMAP, or is incomplete"
            raise DestinationUnavailableError(text) from None

    def close(self) -> None:
        """Log out, and close the connection. It raises nothing."""
        self._client.connection.allow(self._bounds.logout, self._bounds.answer)
        with contextlib.suppress(*_ERRORS, *_UNREADABLE):
            self._client.logout()
        self.abandon()

    def abandon(self) -> None:
        """Close the connection without a word, which could end up in a message. It raises nothing.

        A part of a literal may be sent, and LOGOUT would be taken for its end.
        """
        self._client.connection.shutdown()


def _reason(error: Exception) -> str:
    """Return why a command failed, in a few words."""
    if isinstance(error, TimeoutError):
        return "the server did not answer in time"
    if isinstance(error, ssl.SSLCertVerificationError):
        return describe_certificate_error(error)
    return getattr(error, "strerror", None) or _SPELLED.sub(_read_spelled, str(error))


def _read_spelled(spelled: re.Match[str]) -> str:
    """Return what a server said, which imaplib spells as Python does."""
    with contextlib.suppress(ValueError, SyntaxError):
        said: bytes = ast.literal_eval(spelled[1])
        return said.decode("utf-8", "replace")
    return spelled[0]


def _hint(error: Exception) -> str:
    """Return what to do about an error, "" where its text says enough."""
    if isinstance(error, LoginError):
        if _TEMPORARY.search(str(error)):
            return "; the next run tries again"
        return "; check the output of to_password_command, or sign in again by `pop3 login`"
    if getattr(error, "reason", "") == "WRONG_VERSION_NUMBER":  # of ssl.SSLError
        return "; this port has no TLS at the beginning, so use imap://, or the port of imaps://"
    return ""


def _refusal(address: ImapAddress, line: str) -> DestinationUnavailableError | MessageRefusedError:
    """Return the error for an answer that is not OK."""
    text = printable(f"{address}: {line}")[:500]
    if _MISSING.search(line):
        return _missing(text)
    if "[OVERQUOTA]" in line.upper():
        full = f"{text.removesuffix('.')}; delete mail there, or raise its quota"
        return DestinationUnavailableError(full)
    if _TEMPORARY.search(line) or line.upper().startswith("BAD"):
        return DestinationUnavailableError(text)
    return MessageRefusedError(text)


def _missing(text: str) -> DestinationUnavailableError:
    """Return the error for a missing folder, with what to do."""
    return DestinationUnavailableError(f"{text}; create the folder, or add ?create=true to its URL")
