"""A command that is given each message: `pipe:/usr/bin/maildrop -d ann`.

It runs without a shell. Its standard input is the message with LF ends, as a file. Exit code 0
means that it has the message. At most one double comes of a crash; POP3_FETCH_ID in its environment
is the same for the same message, by which the command can recognize a double.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, cast

from restante.fetch.destinations.commands import run_command
from restante.fetch.destinations.unix_lines import UnixLines
from restante.fetch.interfaces import (
    DeliveryInDoubtError,
    DestinationUnavailableError,
    MessageRefusedError,
    NotDeliveredError,
    Settled,
)
from restante.fetch.spool import Spool
from restante.user_commands import split_command

if TYPE_CHECKING:
    from collections.abc import Sequence

    from restante.fetch.interfaces import Content, Draft, SourceMessage
    from restante.fetch.spool import SpooledDraft

SECONDS = 600.0  # that a command may need for a message


class PipeDraft:
    """A message with LF ends in the spool."""

    def __init__(self, spooled: SpooledDraft) -> None:
        self.spooled = spooled
        self._lines = UnixLines()

    def write(self, octets: bytes) -> None:
        """Add octets with CR LF ends. Raises DestinationUnavailableError."""
        self.spooled.write(self._lines.feed(octets))

    def finish(self, content: Content) -> None:
        """Note that the message is whole. Raises DestinationUnavailableError."""
        self.spooled.write(self._lines.finish())
        self.spooled.finish(content)

    def discard(self) -> None:
        """Remove it."""
        self.spooled.discard()


class PipeDestination:
    """A command. `state` is the folder of the fetcher's state."""

    batch = 1  # a message that is prepared and not delivered may come twice

    def __init__(
        self,
        url: str,
        command: Sequence[str],
        state: str,
        *,
        hold: bool = False,
        seconds: float = SECONDS,
    ) -> None:
        self.url = url
        self._command = command
        self._hold = hold
        self._seconds = seconds
        self._spool = Spool(f"{state}/spool")

    def open(self) -> None:
        """Find the command."""
        self._spool.open()
        if not shutil.which(self._command[0]):
            raise DestinationUnavailableError(
                f"the command {self._command[0]} is not there or cannot be run"
            )

    def start(self, message: SourceMessage) -> Draft:
        """Return a draft in the spool."""
        return PipeDraft(self._spool.start(message))

    def prepare(self, drafts: Sequence[Draft]) -> list[str]:
        """Return the ids of the messages, which the command gets, too."""
        return [cast(PipeDraft, draft).spooled.delivery_id for draft in drafts]

    def deliver(self, draft: Draft) -> None:
        """Run the command with a message. DeliveryInDoubtError: it was killed, or took too long."""
        spooled = cast(PipeDraft, draft).spooled
        try:
            ended = run_command(
                self._command, spooled.descriptor(), self._seconds, variables(spooled)
            )
        except DestinationUnavailableError as error:
            raise NotDeliveredError(str(error)) from error
        if ended.code != 0:
            text = f"the command {self._command[0]} {ended}"
            if ended.code == os.EX_TEMPFAIL:
                raise NotDeliveredError(text)
            if ended.code is None or ended.code < 0:
                raise DeliveryInDoubtError(f"{text}; it may have delivered the message")
            raise MessageRefusedError(text)
        draft.discard()

    def sync(self) -> None:
        """Do nothing: a command that exits with 0 has the message."""

    def settle(self, token: str) -> Settled:
        """Return UNKNOWN. Raises MessageRefusedError instead where doubt = "hold" is set."""
        if self._hold:
            raise MessageRefusedError(
                f"the command {self._command[0]} may have the message already, as POP3_FETCH_ID "
                f'{token}, and doubt = "hold" is set: use --skip, or --retry'
            )
        return Settled.UNKNOWN

    def close(self) -> None:
        """Remove drafts."""
        self._spool.close()


def variables(draft: SpooledDraft) -> dict[str, str]:
    """Return the variables that describe a message in a command's environment."""
    message = draft.message
    return {
        "POP3_FETCH_ID": draft.delivery_id,
        "POP3_FETCH_ACCOUNT": message.account,
        "POP3_FETCH_UID": message.uid.replace("\0", " "),  # which no variable can have
    }


def parse_pipe_url(url: str) -> list[str]:
    """Return the command of a URL and its arguments. Raises ValueError: there is none."""
    try:
        return split_command(url.partition(":")[2])
    except ValueError as error:
        text = f"the command of {url}: {error}; write for example pipe:/usr/bin/maildrop -d ann"
        raise ValueError(text) from None
