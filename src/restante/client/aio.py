"""The asyncio client: the same as `blocking`, with await.

    async with restante.connect("pop3s://ann@example.com", password="...") as drop:
        async for message in drop:
            print((await message.header())["subject"])
        await drop.delete(drop[1])
        await drop.commit()          # leaving without it deletes nothing

Every call raises RemoteError, whose `id` says what is wrong, or LocalError if nothing could be
sent: see `restante.protocol.errors`. It may be cancelled anywhere:
the connection is closed then, and nothing is removed. A maildrop allows one call at a time: another
one at once, or after a failure, is a LocalError too.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, TypeVar, Unpack

from restante.client import asyncio_driver, maildrop, messages
from restante.client.attempts import Attempts
from restante.client.credentials import Credentials, require_text
from restante.client.header_part import HeaderPart
from restante.client.options import end_time, merge
from restante.client.session import ClientSession, leave
from restante.client.token_source import (
    is_token_refused,
    renew_token,
    request_token,
    token_options,
)
from restante.mail.fields import MAX_OCTETS
from restante.mail.header import header_of
from restante.protocol.client.connection import LISTING_LIMIT
from restante.protocol.errors import (
    LOST,
    LocalError,
    RemoteError,
    ServerRefusedError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
    from email.message import EmailMessage

    from restante.client.maildrop import MaildropState
    from restante.client.messages import MessageInfo, MessageTable
    from restante.client.options import OptionArgs, Options, Target
    from restante.client.token_source import TokenSource
    from restante.protocol.client.operations import MessageEnd
    from restante.protocol.client.replies import Status


T = TypeVar("T")

AT_ONCE = 16 * 1024  # octets of a header that are read in the event loop


class Message(messages.BaseMessage):
    """One message of an open maildrop.

    Attributes:
        number: its number in this session, from 1. RFC 1939 section 4.
        size: its octets, as LIST counts them.
        uid: its unique-id, None if the server has no UIDL. RFC 1939 section 7.
    """

    def __init__(self, drop: Maildrop, state: MaildropState, entry: MessageInfo) -> None:
        super().__init__(entry, state)
        self._drop = drop

    async def top(self, lines: int = 0) -> bytes:
        """Return the header and the first `lines` lines of the body, as octets with CR LF ends.

        RFC 1939 section 7, TOP. Raises ServerRefusedError, or another RemoteError.
        """
        head = (await self._drop.headers([self.number], lines))[0]
        if isinstance(head, ServerRefusedError):
            raise head
        return head

    async def header(self) -> EmailMessage:
        """Return the parsed header; the body is not fetched.

        If the server has no TOP, a message of up to 1,000,000 octets is fetched and its header
        kept. Any octets give a header: fields that cannot be parsed stay as they are. The first
        256 KiB are parsed. Raises ServerRefusedError, or another RemoteError.
        """
        octets = (await self._drop.headers([self.number], keep=MAX_OCTETS))[0]
        if isinstance(octets, ServerRefusedError):
            maildrop.check_fetch(octets, self.size)
            header_part = HeaderPart(MAX_OCTETS)
            async with self.open() as pieces:
                async for piece in pieces:
                    header_part.feed(piece)
            octets = header_part.octets
        if len(octets) <= AT_ONCE:
            return header_of(octets)
        return await asyncio.to_thread(header_of, octets)

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[AsyncIterator[bytes]]:
        """Give the message as chunks of octets, exactly as the server sends it, without stuffing.

        At the end its size is compared with LIST's. To leave the block earlier closes the
        connection, since the rest of the message would still come. Raises RemoteError;
        TruncatedReplyError if the connection ends within the message.
        """
        async with contextlib.aclosing(self._drop.retrieve(self.number)) as chunks:
            yield chunks

    async def read(self) -> bytes:
        """Return the octets of the whole message. Raises what `open` raises."""
        async with self.open() as chunks:
            return b"".join([chunk async for chunk in chunks])


class Maildrop:
    """An open maildrop. Iterate over it, or index it by message number, from 1.

    One call at a time is allowed. `len()` is the number of messages.
    """

    def __init__(self, driver: asyncio_driver.AsyncioDriver, state: MaildropState) -> None:
        self._driver, self._state = driver, state

    def __len__(self) -> int:
        return len(self._state.entries)

    async def __aiter__(self) -> AsyncIterator[Message]:
        for entry in self._state.entries.values():
            yield Message(self, self._state, entry)

    __iter__ = None  # it is `async for`; without this, `for` would ask for message 0

    def __getitem__(self, number: int) -> Message:
        return Message(self, self._state, maildrop.find_entry(self._state, number))

    @property
    def entries(self) -> MessageTable:
        """A mapping from the number of each message to its number, size and unique-id.

        A loop over its `values()` takes less time than one over the messages.
        """
        return self._state.entries

    @property
    def session(self) -> ClientSession:
        """The connection's greeting, capabilities, TLS and login mechanism."""
        return self._state.session

    async def headers(
        self, numbers: Iterable[int], lines: int = 0, keep: int = LISTING_LIMIT
    ) -> list[bytes | ServerRefusedError]:
        """Return the headers of messages and the first `lines` lines of their bodies, in octets.

        `numbers` are message numbers. The commands are pipelined if the server allows it. The
        first `keep` octets of each are kept. A message that the server refuses has its error in
        the list.

        Raises RemoteError; MalformedReplyError if all together have more than 64 MiB.
        """
        return await self._driver.run(maildrop.headers(self._state, numbers, lines, keep))

    async def retrieve(
        self,
        number: int,
        progress: Callable[[int], object] = lambda _: None,
        ended: list[MessageEnd] | None = None,
    ) -> AsyncGenerator[bytes, None]:
        """Yield the octets of message `number` in chunks.

        `progress` is called with the number of octets so far. `ended` gets the `MessageEnd`.
        Raises RemoteError; LocalError if LIST says that the message is larger than
        `Options.message_octets`.
        """
        octets = 0
        ended = [] if ended is None else ended
        dialogue = maildrop.retrieve(self._state, number)
        async with contextlib.aclosing(self._driver.pieces(dialogue, ended)) as pieces:
            async for piece in pieces:
                octets += len(piece)
                progress(octets)
                yield piece
        messages.check_size(self._state, number, ended[-1])

    async def retrieve_many(
        self, numbers: Iterable[int]
    ) -> AsyncGenerator[tuple[int, bytes | MessageEnd | ServerRefusedError], None]:
        """Yield the octets of messages in chunks, each with its number of `numbers`.

        After its chunks each message has a `MessageEnd`, or the refusal of the server. The commands
        are pipelined if the server allows it. Raises RemoteError; MalformedReplyError if the size
        of a message is not exactly LIST's. What came whole before a lost connection is yielded
        first. Raises LocalError for a message that is larger than `Options.message_octets`.
        """
        numbers = list(numbers)  # an iterator is read once
        ends: deque[tuple[int, MessageEnd | ServerRefusedError]] = deque()
        dialogue = maildrop.retrieve_many(self._state, numbers, lambda *end: ends.append(end))
        index = 0
        async with contextlib.aclosing(self._driver.pieces(dialogue, [])) as pieces:
            try:
                async for piece in pieces:
                    while ends:
                        index += 1
                        yield ends.popleft()
                    yield numbers[index], piece
            except LOST:  # what came whole before counts
                while ends:
                    yield ends.popleft()
                raise
        while ends:
            yield ends.popleft()

    async def delete(self, message: Message | int) -> None:
        """Mark `message`, or the one with this number; `commit` removes it.

        RFC 1939 section 5, DELE. Raises ServerRefusedError, or another RemoteError; LocalError for
        a message of another session.
        """
        number = message.number_in(self._state) if isinstance(message, Message) else message
        await self._driver.run(maildrop.mark(self._state, number))

    async def delete_many(self, numbers: Iterable[int]) -> dict[int, ServerRefusedError]:
        """Mark the messages with these numbers; `commit` removes them.

        The last message is marked first, since some servers number the messages after it anew. The
        commands are pipelined if the server allows it. Returns the refusals of the server by
        message number. Raises RemoteError.
        """
        return await self._driver.run(maildrop.mark_many(self._state, numbers))

    async def undelete(self) -> None:
        """Remove all marks. RFC 1939 section 5, RSET. Raises RemoteError."""
        await self._driver.run(maildrop.unmark(self._state))

    async def commit(self) -> None:
        """Remove the marked messages by QUIT, and close the connection. RFC 1939 section 6.

        Raises RemoteError: some marked messages may still be there.
        """
        try:
            await self._driver.run(maildrop.commit(self._state))
        finally:
            if self.session.peer.broken:  # else it was refused, for another call is under way
                self._driver.close()

    async def close(self) -> None:
        """Close the connection, and delete nothing. QUIT is sent if nothing is marked.

        Raises MalformedReplyError: the last reply was cut (not-stuffed).
        """
        try:
            if self._state.may_quit:
                self._driver.limit_reply_timeout(maildrop.QUIT_SECONDS)
                try:
                    await self._driver.run(leave(self.session))
                except (RemoteError, LocalError) as error:
                    maildrop.note_failed_quit(self.session, error)
        finally:
            self.abort()

    def abort(self) -> None:
        """Close the connection at once, in any thread. Nothing is deleted."""
        self._driver.close()

    async def raw_command(self, line: str, ended: list[Status]) -> AsyncGenerator[bytes, None]:
        """Send `line` as it is, and yield the octets of its reply after the status line.

        The status is appended to `ended`, also for -ERR. DELE marks a message as `delete` does.
        Raises RemoteError; LocalError for a line end in `line`, for STLS and for AUTH.
        """
        dialogue = maildrop.run_raw_command(self._state, line)
        async with contextlib.aclosing(self._driver.pieces(dialogue, ended)) as pieces:
            async for piece in pieces:
                yield piece

    @property
    def marked(self) -> frozenset[int]:
        """The numbers of the messages that `commit` removes."""
        return frozenset(self._state.marked)


@contextlib.asynccontextmanager
async def connect(
    account: str | Target,
    password: str = "",
    options: Options | None = None,
    *,
    auth: TokenSource | None = None,
    **overrides: Unpack[OptionArgs],
) -> AsyncIterator[Maildrop]:
    """Give the open maildrop of an account. It is closed at the end of the block.

    Args:
        account: `pop3s://user@host[:port]`, `pop3://user@host[:port]`, a `Target`, or a mail
            address, whose server is looked up.
        password: the password, or a token with `Options.token`.
        options: see `Options`.
        auth: a source of OAuth 2 tokens in place of a password, called in a thread. If the server
            refuses a token, the client asks the source once for another one, and connects again.
        overrides: options by name, which replace those of `options`.

    Raises:
        RemoteError: the server, or the way to it, failed, or the issuer of the tokens.
        LocalError: the name or the password cannot be sent, or there is not a token.
        ValueError: the account or an option is invalid.
        TypeError: an option is unknown, or the account or the password is not text.
    """
    require_text("password", password)
    options = merge(options, overrides)
    if auth is not None:
        options = token_options(options, password, auth)
    ends = end_time(options)
    seconds = ends - time.monotonic()
    target = await asyncio_driver.run_in_thread(partial(maildrop.target_of, account, seconds))
    session = ClientSession(target, options, ends=ends)
    drop = await (_connect(session, password) if auth is None else _connect_by_token(session, auth))
    try:
        yield drop
    except BaseException:
        drop.abort()
        raise
    await drop.close()


async def _connect_by_token(session: ClientSession, auth: TokenSource) -> Maildrop:
    """Connect with a token, and a second time with another one if the first is refused."""
    target, options, ends = session.target, session.options, session.ends
    token = await asyncio_driver.run_in_thread(partial(request_token, auth, options, ends))
    try:
        return await _connect(session, token)
    except RemoteError as refused:
        if not is_token_refused(refused):
            raise
        renewed = await asyncio_driver.run_in_thread(
            partial(renew_token, auth, token, options, ends)
        )
        if renewed is None:
            raise
    return await _connect(ClientSession(target, options, ends=ends), renewed)


async def _connect(session: ClientSession, password: str) -> Maildrop:
    """Connect and log in, again without CAPA or elsewhere if the server breaks off before that."""
    attempts = Attempts(session)
    while True:
        try:
            return await _open(attempts.session, password)
        except RemoteError as error:
            attempts.note_failure(error)


async def _open(session: ClientSession, password: str) -> Maildrop:
    driver = await asyncio_driver.dial(session)
    try:
        credentials = Credentials(session.target.user, password)
        return Maildrop(driver, await driver.run(maildrop.open_maildrop(session, credentials)))
    except BaseException:
        driver.close()
        raise
