"""The session of a shell: its connection, and the headers that it has fetched."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from restante.cli.output.message_summary import MessageSummary, summarize
from restante.cli.output.terminal import plain
from restante.cli.output.units import cut
from restante.cli.shell.screen import ShellError
from restante.diagnosis import wording
from restante.mail.fields import MAX_OCTETS
from restante.protocol.errors import LocalError, RemoteError, ServerRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from restante.cli.shell.screen import ShellScreen
    from restante.client.blocking import Maildrop

MAX_SEARCHED = 32 * 1024  # octets: a message up to this size is looked into for attachments
AT_ONCE = 100  # headers that are fetched together
NAMED = 5  # messages that are named by their subject, before "and 7 more"


class ShellSession:
    """The state that commands share: the screen, the maildrop, and the headers fetched before.

    The connection is opened when it is needed, so a session goes on after a commit.
    """

    def __init__(
        self,
        open_: Callable[[], Maildrop],
        screen: ShellScreen,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.screen = screen
        self.in_reply = False  # a reply is under way: an interruption now must disconnect
        self.summaries: dict[int, MessageSummary] = {}
        self.lacks_top = False  # the server refused TOP because it has none
        self._open, self._clock = open_, clock
        self._drop: Maildrop | None = None
        self._last_reply = clock()
        self._error: RemoteError | None = None  # not reported yet

    @property
    def connected(self) -> bool:
        """Whether there is a connection, as far as is known."""
        return self._drop is not None

    @property
    def marked(self) -> list[int]:
        """The numbers of the marked messages, in order."""
        return sorted(self._drop.marked) if self._drop else []

    @property
    def idle(self) -> float:
        """The seconds since the server was last heard; 0 without a connection."""
        return self._clock() - self._last_reply if self._drop else 0

    def connect(self) -> Maildrop:
        """Open the maildrop, of which nothing is known then. Raises RemoteError."""
        self.summaries.clear()
        self._drop = self._open()
        self._last_reply = self._clock()
        return self._drop

    @contextlib.contextmanager
    def exchange(self) -> Iterator[Maildrop]:
        """Give the maildrop; whatever breaks the block off, except an -ERR, leaves `in_reply`."""
        if self._drop is None:
            self.screen.print_line("Reconnecting.")
            self.connect()
        if self._error is not None:
            raise self._error
        assert self._drop is not None
        self.in_reply = True
        try:
            yield self._drop
        except (ServerRefusedError, LocalError):
            self.in_reply = False
            raise
        finally:
            self._last_reply = self._clock()
        self.in_reply = False

    def disconnect(self) -> None:
        """Close the connection at once: marks are lost, and nothing is deleted."""
        if self._drop is not None:
            self._drop.abort()
        self._drop, self._error, self.in_reply = None, None, False

    def close(self) -> None:
        """End the session by QUIT, with no message marked."""
        drop, self._drop = self._drop, None
        if drop is not None:
            drop.close()

    def messages(self) -> dict[int, int]:
        """Return the octets of all messages by number."""
        if self._drop is None:
            with self.exchange():
                pass
        return {message.number: message.size for message in self._drop or ()}

    def numbers(self, words: Sequence[str]) -> list[int]:
        """Return the numbers in "1 3-5". Raises ShellError: an invalid or unknown number."""
        try:
            numbers = parse_numbers(words)
        except ValueError as error:
            raise ShellError(str(error)) from None
        messages = self.messages()
        for number in numbers:
            if number not in messages:
                raise ShellError(f"unknown message {number}; the mailbox has {len(messages)}")
        return numbers

    def fetch_headers(self, numbers: Iterable[int]) -> None:
        """Fetch the headers that are not known yet. Raises RemoteError."""
        sizes, marked = self.messages(), self.marked
        missing = [n for n in numbers if n in sizes and n not in self.summaries and n not in marked]
        if not missing:
            return
        with self.exchange() as drop:
            for start in range(0, len(missing), AT_ONCE):
                batch = missing[start : start + AT_ONCE]
                for number, octets in zip(batch, drop.headers(batch, keep=MAX_OCTETS), strict=True):
                    self.summaries[number] = _summarize(octets)
                    denied = isinstance(octets, ServerRefusedError) and octets.id == "top-missing"
                    self.lacks_top = self.lacks_top or denied
            mixed = [n for n in missing if self.summaries[n].mixed and sizes[n] <= MAX_SEARCHED]
            for start in range(0, len(mixed), AT_ONCE):
                batch = mixed[start : start + AT_ONCE]
                whole = drop.headers(batch, MAX_SEARCHED, keep=2 * MAX_SEARCHED)
                for number, octets in zip(batch, whole, strict=True):
                    if not isinstance(octets, ServerRefusedError):
                        self.summaries[number] = summarize(octets, whole=True)

    def prefetch_headers(self, numbers: Iterable[int]) -> None:
        """Prefetch summaries. Errors are ignored here: the next command reports them."""
        if self.connected and not self.in_reply:
            try:
                self.fetch_headers(numbers)
            except RemoteError as error:
                self._error, self.in_reply = error, False

    def name(self, number: int) -> str:
        """Return what a message is called, such as 1 "Hello"."""
        summary = self.summaries.get(number)
        subject = cut(summary.subject, 40) if summary else ""
        return f'{number} "{subject}"' if subject else str(number)

    def names(self, numbers: Sequence[int]) -> str:
        """Return what messages are called; of many, the first."""
        named = ", ".join(self.name(number) for number in numbers[:NAMED])
        more = len(numbers) - NAMED
        return f"{named} and {more} more" if more > 0 else named


def _summarize(answer: bytes | ServerRefusedError) -> MessageSummary:
    """Return what an answer to TOP says."""
    if isinstance(answer, ServerRefusedError):
        return MessageSummary(known=False)
    return summarize(answer)


def marked_text(session: ShellSession) -> str:
    """Return the question before marked messages are removed."""
    marked = session.marked
    count = wording.messages(len(marked))
    return f"{count} will be deleted permanently: {session.names(marked)}. Commit?"


def parse_numbers(words: Iterable[str]) -> list[int]:
    """Return the numbers that "1", "2-4" name, each once. Raises ValueError: a word names none."""
    numbers: dict[int, None] = {}
    for word in words:
        first, dash, last = word.partition("-")
        if not (_is_number(first) and (_is_number(last) if dash else True)):
            raise ValueError(f'"{plain(word)}" is not a message number')
        low, high = int(first), int(last or first)
        if not 0 < high - low + 1 <= 100_000:
            raise ValueError(f'"{word}" is not a valid range of messages')
        numbers |= dict.fromkeys(range(low, high + 1))
    return list(numbers)


def _is_number(word: str) -> bool:
    return word.isascii() and word.isdigit() and len(word) < 10
