"""The asyncio client: the same as `blocking`, with await.

    async with restante.connect("pop3s://ann@example.com", password="...") as drop:
        async for message in drop:
            print((await message.header())["subject"])
        await drop.delete(drop[1])
        await drop.commit()          # leaving without it deletes nothing

All of it raises RemoteError (`restante.protocol.errors`), whose `id` says what is wrong, or
LocalError (`restante.protocol.errors`), where nothing could be sent. It may be cancelled anywhere:
the connection is closed then, and nothing is removed. A maildrop takes one call at a time: another
one at once, or behind a failure, is a LocalError too.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from functools import partial
from typing import TYPE_CHECKING, Unpack

from restante.client import asyncio_driver, maildrop
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
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
    from email.message import EmailMessage

    from restante.client.maildrop import MaildropState, MessageInfo
    from restante.client.options import OptionArgs, Options, Target
    from restante.protocol.client.operations import MessageEnd
    from restante.protocol.client.replies import Status


AT_ONCE = 16 * 1024  # octets of a header that are read in the event loop


class Message(maildrop.Listed):
    """One message of an open maildrop: its number, size and uid, and what can be fetched."""

    def __init__(self, drop: Maildrop, entry: MessageInfo) -> None:
        super().__init__(entry)
        self._drop = drop

    async def top(self, lines: int = 0) -> bytes:
        """Return the header and so many lines of the body."""
        head = (await self._drop.headers([self.number], lines))[0]
        if isinstance(head, ServerRefusedError):
            raise head
        return head

    async def header(self) -> EmailMessage:
        """Return the header, parsed; the body is not fetched.

        Where the server has no TOP, a message of up to 1 MB is fetched and its header kept. Any
        octets give a header: what cannot be parsed stays as it is. See
        `restante.mail.header.header_of` for the bounds.
        """
        octets = (await self._drop.headers([self.number], keep=MOST_OCTETS))[0]
        if isinstance(octets, ServerRefusedError):
            maildrop.check_fetch(octets, self.size)
            part = HeaderPart(MOST_OCTETS)
            async with self.open() as pieces:
                async for piece in pieces:
                    part.feed(piece)
            octets = part.octets
        if len(octets) <= AT_ONCE:
            return header_of(octets)
        return await asyncio.to_thread(header_of, octets)

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[AsyncIterator[bytes]]:
        """Give the message in chunks, exact octets; its size is compared with LIST's at the end.

        Leaving before the end breaks the connection off, for the rest would come all the same.
        """
        async with contextlib.aclosing(self._drop.retrieve(self.number)) as chunks:
            yield chunks

    async def read(self) -> bytes:
        """Return the whole message."""
        async with self.open() as chunks:
            return b"".join([chunk async for chunk in chunks])


class Maildrop:
    """An open maildrop. Iterate over it, or index it by message number."""

    def __init__(self, driver: asyncio_driver.AsyncioDriver, box: MaildropState) -> None:
        self._driver, self._box = driver, box

    def __len__(self) -> int:
        return len(self._box.entries)

    async def __aiter__(self) -> AsyncIterator[Message]:
        for entry in list(self._box.entries.values()):
            yield Message(self, entry)

    __iter__ = None  # it is `async for`; without this, `for` would ask for message 0

    def __getitem__(self, number: int) -> Message:
        return Message(self, maildrop.entry_of(self._box, number))

    @property
    def session(self) -> ClientSession:
        """What is known of the connection: greeting, capabilities, TLS, mechanism."""
        return self._box.session

    async def headers(
        self, numbers: Iterable[int], lines: int = 0, keep: int = LISTING_LIMIT
    ) -> list[bytes | ServerRefusedError]:
        """Return the heads of messages, in one go where the server pipelines.

        Of each the first `keep` octets are kept; all together have 64 MiB at most, else it raises
        MalformedReplyError.
        """
        return await self._driver.run(maildrop.headers(self._box, numbers, lines, keep))

    async def retrieve(
        self,
        number: int,
        progress: Callable[[int], object] = lambda _: None,
        ended: list[MessageEnd] | None = None,
    ) -> AsyncGenerator[bytes, None]:
        """Yield a message's octets in chunks; `progress` hears how many have come."""
        octets = 0
        ended = [] if ended is None else ended
        dialogue = maildrop.retrieve(self._box, number)
        async with contextlib.aclosing(self._driver.pieces(dialogue, ended)) as pieces:
            async for piece in pieces:
                octets += len(piece)
                progress(octets)
                yield piece
        maildrop.check_size(self._box, number, ended[-1])

    async def delete(self, message: Message | int) -> None:
        """Mark a message; `commit` removes it."""
        number = message if isinstance(message, int) else message.number
        await self._driver.run(maildrop.mark(self._box, number))

    async def undelete(self) -> None:
        """Take all marks away."""
        await self._driver.run(maildrop.unmark(self._box))

    async def commit(self) -> None:
        """Remove what is marked, and hang up. Raises RemoteError: not all of it is gone."""
        try:
            await self._driver.run(maildrop.commit(self._box))
        finally:
            if self.session.peer.broken:  # else it was refused, for another call is under way
                self._driver.close()

    async def close(self) -> None:
        """Leave, and delete nothing.

        Raises MalformedReplyError: what came last was cut (not-stuffed).
        """
        try:
            if self._box.may_quit:
                self._driver.limit_reply_timeout(maildrop.QUIT_SECONDS)
                try:
                    await self._driver.run(leave(self.session))
                except (RemoteError, LocalError) as error:
                    maildrop.quit_failed(self.session, error)
        finally:
            self.hang_up()

    def hang_up(self) -> None:
        """Close the connection at once."""
        self._driver.close()

    async def by_hand(self, line: str, ended: list[Status]) -> AsyncGenerator[bytes, None]:
        """Send a line as a person typed it, and yield what its reply says behind the status line.

        The status is appended to `ended`; -ERR is one too. A DELE counts as marked.
        """
        dialogue = maildrop.run_raw_command(self._box, line)
        async with contextlib.aclosing(self._driver.pieces(dialogue, ended)) as pieces:
            async for piece in pieces:
                yield piece

    @property
    def marked(self) -> frozenset[int]:
        """The numbers of the messages that `commit` would remove."""
        return frozenset(self._box.marked)


@contextlib.asynccontextmanager
async def connect(
    account: str | Target,
    password: str = "",
    options: Options | None = None,
    **given: Unpack[OptionArgs],
) -> AsyncIterator[Maildrop]:
    """Give the open maildrop of an account: a URL, or an address that is looked up.

    Options are given as an object or by name, which goes first: see
    `restante.client.options.Options`. Raises Pop3Error, as the module says;
    ValueError for an account or an option that is none, TypeError for an option there is not.
    """
    options = merge(options, given)
    ends = ending(options)
    seconds = ends - time.monotonic()
    target = await asyncio_driver.in_thread(partial(maildrop.target_of, account, seconds))
    session = ClientSession(target, options, ends=ends)
    try:
        drop = await _open(session, password)
    except RemoteError as error:
        without = maildrop.without_capa(error, session)
        if without is None:
            raise
        try:
            drop = await _open(without, password)
        except (ConnectionLostError, ReplyTimeoutError, ServerUnreachableError) as later:
            error.others.append(str(later))
            raise error from None
    try:
        yield drop
    except BaseException:
        drop.hang_up()
        raise
    await drop.close()


async def _open(session: ClientSession, password: str) -> Maildrop:
    line = await asyncio_driver.dial(session)
    try:
        credentials = Credentials(session.target.user, password)
        return Maildrop(line, await line.run(maildrop.open_(session, credentials)))
    except BaseException:
        line.close()
        raise
