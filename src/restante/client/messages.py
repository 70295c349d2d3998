"""The messages of a maildrop as LIST and UIDL name them, and whether one came as LIST has it."""

from __future__ import annotations

import inspect
import itertools
import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from restante.protocol.client.tables import QuickValues
from restante.protocol.errors import LocalError, MalformedReplyError, Phase

if TYPE_CHECKING:
    from collections.abc import ValuesView

    from restante.client.maildrop import MaildropState
    from restante.client.session import ClientSession
    from restante.protocol.client.operations import MessageEnd

_INNER_MODULES = ("restante.client.", "contextlib")  # between the caller and `check_size`


class SizeWarning(UserWarning):
    """The octets of a message are not as many as LIST announced."""


class MessageInfo(NamedTuple):
    """A message as the server lists it.

    Attributes:
        number: 1-based, for this session only.
        size: octets as LIST counts them, 0 if it gives no usable size.
        uid: its unique-id, None if the server has none.
    """

    number: int
    size: int
    uid: str | None


class MessageTable(Mapping[int, MessageInfo]):
    """The messages of a maildrop by number, made of LIST's sizes and UIDL's unique-ids.

    Attributes:
        sizes: the octets alone, which are found in less time than a message.
    """

    def __init__(self, sizes: Mapping[int, int], uids: Mapping[int, str]) -> None:
        self.sizes: Mapping[int, int] = sizes
        self._uids = uids

    def __len__(self) -> int:
        return len(self.sizes)

    def __iter__(self) -> Iterator[int]:
        return iter(self.sizes)

    def __getitem__(self, number: int) -> MessageInfo:
        return MessageInfo(number, self.sizes[number], self._uids.get(number))

    def values(self) -> ValuesView[MessageInfo]:
        """Return all messages by number; to iterate is faster than to look up."""
        return QuickValues(self, lambda: itertools.starmap(MessageInfo, self.rows()))

    def rows(self) -> Iterator[tuple[int, int, str | None]]:
        """Return the number, size and unique-id of all messages, in half the time."""
        if list(self.sizes) != list(self._uids):
            return ((number, size, self._uids.get(number)) for number, size in self.sizes.items())
        return zip(self.sizes, self.sizes.values(), self._uids.values(), strict=True)


class BaseMessage:
    """The part that messages of both faces share.

    Attributes:
        number: 1-based, good for this session.
        size: octets as LIST counts them, 0 if it gives no usable size.
        uid: its unique-id, None if the server has none.
    """

    def __init__(self, entry: MessageInfo, state: MaildropState) -> None:
        self._state = state
        self.number: int = entry.number
        self.size: int = entry.size
        self.uid: str | None = entry.uid

    def number_in(self, state: MaildropState) -> int:
        """Return its number in an open maildrop.

        Raises LocalError: it is of another session, where its number may be that of other mail.
        """
        if self._state is not state:
            text = (
                f"message {self.number} is of another session, and numbers change; "
                "find it by its uid in this one"
            )
            raise LocalError(text)
        return self.number

    def __repr__(self) -> str:
        return f"<message {self.number}: {self.size} octets, uid {self.uid!r}>"


def check_size(state: MaildropState, number: int, received: MessageEnd) -> None:
    """Compare a message's size with LIST's. The connection stays in step.

    Raises MalformedReplyError: they differ (list-size), and the options require an error. If they
    require a warning, their `notice` gets it; without one, a SizeWarning names the line outside of
    this package that made the call.
    """
    size = state.entries.sizes.get(number, received.octets)
    if received.has_size(size):
        return
    text = size_text(number, received, size)
    if state.session.options.wrong_size == "error":
        raise MalformedReplyError("list-size", text, phase=Phase.MESSAGE, command=f"RETR {number}")
    if state.session.options.notice is not None:
        state.session.options.notice("list-size", text)
    else:
        warnings.warn(text, SizeWarning, stacklevel=_frames_inside())


def size_text(number: int, received: MessageEnd, size: int) -> str:
    """Return the text of the error for a size that is not LIST's, with a likely cause."""
    text = f"message {number} has {received.octets} octets, but LIST gives {size or 'no size'}"
    if received.dots and received.octets + received.dots == size:
        text += (
            f"; {received.dots} dots at line starts were removed, which is the difference: "
            "the server may not double them (not-stuffed)"
        )
    return text


def _frames_inside() -> int:
    """Return how many frames up from `check_size` the first one outside of this package is."""
    level, frame = 0, inspect.currentframe()
    while frame and str(frame.f_globals.get("__name__")).startswith(_INNER_MODULES):
        level, frame = level + 1, frame.f_back
    return level


def check_end(session: ClientSession, number: int, received: MessageEnd) -> None:
    """Check that nothing followed the end of a message. Raises MalformedReplyError."""
    if received.trailing:
        extra = received.trailing.lstrip().partition(b"\r")[0]
        if extra.startswith((b"+OK", b"-ERR")):
            raise session.peer.unexpected_line(session.peer.excerpt(extra, 60))
        text = (
            f"message {number} continues after line {received.lines}, "
            "a single dot that the server did not double"
        )
        raise session.peer.error(MalformedReplyError, "not-stuffed", text)
