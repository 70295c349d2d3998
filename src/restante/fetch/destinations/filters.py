"""A command that reads a message and may replace it, such as `spamc` or `bogofilter -p`.

Its standard input is the message with LF ends. Exit code 0 keeps the message, and what it writes to
its standard output, if it writes anything, replaces it. Exit code 99 drops the message, if the rule
allows that. Exit code 75 is a failure for now. Any other exit code parks the message.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from restante.fetch.content_counter import ContentCounter
from restante.fetch.destinations.commands import run_command
from restante.fetch.destinations.pipe import SECONDS, variables
from restante.fetch.destinations.unix_lines import UnixLines
from restante.fetch.interfaces import DestinationUnavailableError, MessageRefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from restante.fetch.destinations.commands import CommandEnd
    from restante.fetch.spool import Spool, SpooledDraft

DROP = 99  # the exit code that drops a message
MAX_ADDED = 4 * 1024 * 1024  # octets that a filter may add to twice the message

_BARE_LF = re.compile(rb"(?<!\r)\n")


def run_filter(
    command: Sequence[str], message: SpooledDraft, spool: Spool, *, allow_drop: bool
) -> SpooledDraft | None:
    """Return a message as a command leaves it; None if it is dropped.

    It is the same draft where the command wrote nothing. Raises DestinationUnavailableError: the
    command failed for now. Raises MessageRefusedError: it failed for good, or wrote too much.
    """
    text = _copy_with_lf(message, spool)
    output = _Output(spool.start(message.message), 2 * message.octets + MAX_ADDED, command[0])
    try:
        ended = run_command(command, text.descriptor(), SECONDS, variables(message), output.write)
        if ended.code == DROP and allow_drop:
            return None
        _check(command, ended)
        if not output.octets:
            return message
        return output.finish()
    finally:
        text.discard()
        if not output.finished:
            output.draft.discard()


def _check(command: Sequence[str], ended: CommandEnd) -> None:
    if ended.code == 0:
        return
    why = f"the filter {command[0]} {ended}"
    if ended.code == DROP:
        raise MessageRefusedError(f"{why}; allow_drop = true would drop the message")
    if ended.code is None or ended.code < 0 or ended.code == os.EX_TEMPFAIL:
        raise DestinationUnavailableError(why)
    raise MessageRefusedError(why)


def _copy_with_lf(message: SpooledDraft, spool: Spool) -> SpooledDraft:
    copied, lines = spool.start(message.message), UnixLines()
    for octets in message.chunks():
        copied.write(lines.feed(octets))
    copied.write(lines.finish())
    return copied


class _Output:
    """The output of a filter, with CR LF ends again."""

    def __init__(self, draft: SpooledDraft, limit: int, name: str) -> None:
        self.draft = draft
        self.octets = 0  # as they came
        self.finished = False
        self._limit = limit
        self._name = name
        self._last = b""
        self._counter = ContentCounter()

    def write(self, octets: bytes) -> None:
        """Add octets. Raises MessageRefusedError: there are too many."""
        self.octets += len(octets)
        if self.octets > self._limit:
            raise MessageRefusedError(f"the filter {self._name} wrote over {self._limit} octets")
        first = octets[:1] if self._last == b"\r" and octets[:1] == b"\n" else b""
        converted = first + _BARE_LF.sub(b"\r\n", octets[len(first) :])
        self._last = octets[-1:] or self._last
        self.draft.write(converted)
        self._counter.add(converted)

    def finish(self) -> SpooledDraft:
        """Return the draft, finished."""
        self.draft.finish(self._counter.content())
        self.finished = True
        return self.draft
