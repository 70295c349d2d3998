"""The blocking client.

    from restante import blocking

    with blocking.connect("pop3s://ann@example.com", password="...") as drop:
        for message in drop:
            print(message.header()["subject"])
        drop.delete(drop[1])
        drop.commit()                # leaving without it deletes nothing

All of it raises RemoteError (`restante.protocol.errors`), whose `id` says what is wrong, or
LocalError (`restante.protocol.errors`), where nothing could be sent. A maildrop takes one call at a
time: another one from a second thread, while a message is read, or behind a failure, is a
LocalError too.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Self, Unpack

from restante.client import maildrop, socket_driver
from restante.client.header_part import HeaderPart
from restante.client.io import ending
from restante.client.mechanisms import Credentials
from restante.client.options import merge
from restante.client.session import ClientSession, leave
from restante.mail.fields import MOST_OCTETS
from restante.mail.header import header_of
from restante.protocol.client.connection import LISTING_LIMIT
from restante.protocol.errors import (
    ConnectionLostError,
    LocalError,
    RemoteError,
    ReplyTimeoutError,
    ServerRefusedError,
    ServerUnreachableError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from email.message import EmailMessage

    from restante.client.maildrop import MaildropState, MessageInfo
    from restante.client.options import OptionArgs, Options, Target
    from restante.protocol.client.operations import MessageEnd
    from restante.protocol.client.replies import Status


class Message(maildrop.Listed):
    """One message of an open maildrop: its number, size and uid, and what can be fetched."""

    def __init__(self, drop: Maildrop, entry: MessageInfo) -> None:
        super().__init__(entry)
        self._drop = drop

    def top(self, lines: int = 0) -> bytes:
        """Return the header and so many lines of the body."""
        head = self._drop.headers([self.number], lines)[0]
        if isinstance(head, ServerRefusedError):
            raise head
        return head

    def header(self) -> EmailMessage:
        """Return the header, parsed; the body is not fetched.

        Where the server has no TOP, a message of up to 1 MB is fetched and its header kept. Any
        octets give a header: what cannot be parsed stays as it is. See
        `restante.mail.header.header_of` for the bounds.
        """
        octets = self._drop.headers([self.number], keep=MOST_OCTETS)[0]
        if isinstance(octets, ServerRefusedError):
            maildrop.check_fetch(octets, self.size)
            part = HeaderPart(MOST_OCTETS)
            with self.open() as pieces:
                for piece in pieces:
                    part.feed(piece)
            octets = part.octets
        return header_of(octets)

    @contextlib.contextmanager
    def open(self) -> Iterator[Generator[bytes, None, None]]:
        """Give the message in chunks, exact octets; its size is compared with LIST's at the end.

        Leaving before the end breaks the connection off, for the rest would come all the same.
        """
        with contextlib.closing(self._drop.retrieve(self.number)) as chunks:
            yield chunks

    def read(self) -> bytes:
        """Return the whole message."""
        with self.open() as chunks:
            return b"".join(chunks)


class Maildrop:
    """An open maildrop. Iterate over it, or index it by message number."""

    def __init__(self, driver: socket_driver.SocketDriver, box: MaildropState) -> None:
        self._driver, self._box = driver, box

    def __len__(self) -> int:
        return len(self._box.entries)

    def __iter__(self) -> Iterator[Message]:
        return (Message(self, entry) for entry in list(self._box.entries.values()))

    def __getitem__(self, number: int) -> Message:
        return Message(self, maildrop.entry_of(self._box, number))

    @property
    def session(self) -> ClientSession:
        """What is known of the connection: greeting, capabilities, TLS, mechanism."""
        return self._box.session

    def headers(
        self, numbers: Iterable[int], lines: int = 0, keep: int = LISTING_LIMIT
    ) -> list[bytes | ServerRefusedError]:
        """Return the heads of messages, in one go where the server pipelines.

        Of each the first `keep` octets are kept; all together have 64 MiB at most, else it raises
        MalformedReplyError.
        """
        return self._driver.run(maildrop.headers(self._box, numbers, lines, keep))

    def retrieve(
        self,
        number: int,
        progress: Callable[[int], object] = lambda _: None,
        ended: list[MessageEnd] | None = None,
    ) -> Generator[bytes, None, None]:
        """Yield a message's octets in chunks; `progress` hears how many have come."""
        octets = 0
        ended = [] if ended is None else ended
        dialogue = maildrop.retrieve(self._box, number)
        with contextlib.closing(self._driver.pieces(dialogue, ended)) as pieces:
            for piece in pieces:
                octets += len(piece)
                progress(octets)
                yield piece
        maildrop.check_size(self._box, number, ended[-1])

    def by_hand(self, line: str, ended: list[Status]) -> Generator[bytes, None, None]:
        """Send a line as a person typed it, and yield what its reply says behind the status line.

        The status is appended to `ended`; -ERR is one too. A DELE counts as marked.
        """
        yield from self._driver.pieces(maildrop.run_raw_command(self._box, line), ended)

    def delete(self, message: Message | int) -> None:
        """Mark a message; `commit` removes it."""
        number = message if isinstance(message, int) else message.number
        self._driver.run(maildrop.mark(self._box, number))

    def undelete(self) -> None:
        """Take all marks away."""
        self._driver.run(maildrop.unmark(self._box))

    @property
    def marked(self) -> frozenset[int]:
        """The numbers of the messages that `commit` would remove."""
        return frozenset(self._box.marked)

    def commit(self) -> None:
        """Remove what is marked, and hang up. Raises RemoteError: not all of it is gone."""
        try:
            self._driver.run(maildrop.commit(self._box))
        finally:
            if self.session.peer.broken:  # else it was refused, for another call is under way
                self._driver.close()

    def close(self) -> None:
        """Leave, and delete nothing.

        Raises MalformedReplyError: what came last was cut (not-stuffed).
        """
        try:
            if self._box.may_quit:
                self._driver.limit_reply_timeout(maildrop.QUIT_SECONDS)
                try:
                    self._driver.run(leave(self.session))
                except (RemoteError, LocalError) as error:
                    maildrop.quit_failed(self.session, error)
        finally:
            self.hang_up()

    def hang_up(self) -> None:
        """Close the connection at once."""
        self._driver.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if error[0] is None:
            self.close()
        else:
            self.hang_up()


def connect(
    account: str | Target,
    password: str = "",
    options: Options | None = None,
    **given: Unpack[OptionArgs],
) -> Maildrop:
    """Return the open maildrop of an account: a URL, or an address that is looked up.

    Options are given as an object or by name, which goes first: see
    `restante.client.options.Options`. Raises Pop3Error, as the module says;
    ValueError for an account or an option that is none, TypeError for an option there is not.
    """
    options = merge(options, given)
    ends = ending(options)
    target = maildrop.target_of(account, ends - time.monotonic())
    session = ClientSession(target, options, ends=ends)
    try:
        return _open(session, password)
    except RemoteError as error:
        without = maildrop.without_capa(error, session)
        if without is None:
            raise
        try:
            return _open(without, password)
        except (ConnectionLostError, ReplyTimeoutError, ServerUnreachableError) as later:
            error.others.append(str(later))
            raise error from None


def _open(session: ClientSession, password: str) -> Maildrop:
    line = socket_driver.dial(session)
    try:
        credentials = Credentials(session.target.user, password)
        return Maildrop(line, line.run(maildrop.open_(session, credentials)))
    except BaseException:
        line.close()
        raise
