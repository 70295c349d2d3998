"""Completion by Tab: commands, numbers of messages with their subjects, names of files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prompt_toolkit.completion import Completer, Completion, PathCompleter
from prompt_toolkit.document import Document

from restante.cli.output.units import cut
from restante.cli.shell.dispatch import COMMANDS, NUMBERED
from restante.cli.shell.raw_commands import VERBS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prompt_toolkit.completion import CompleteEvent

    from restante.cli.shell.session import ShellSession

MAX_OFFERED = 50  # messages that are offered at once, the last ones


class ShellCompleter(Completer):
    """Completes a line from the session's messages, and fetches missing headers."""

    def __init__(self, session: ShellSession) -> None:
        self._session = session
        self._paths = PathCompleter(expanduser=True)

    def get_completions(
        self, document: Document, complete_event: CompleteEvent
    ) -> Iterator[Completion]:
        """Yield what may stand before the cursor."""
        text = document.text_before_cursor.lstrip()
        *before, word = text.split(" ")
        before = [each for each in before if each]
        if not before:
            yield from _commands(word)
        elif len(before) <= _numbers(before[0]):
            yield from self._messages(word)
        elif before[0].lower() == "save":
            path = text.split(None, 2)[2] if len(text.split(None, 2)) > 2 else ""
            yield from self._paths.get_completions(Document(path), complete_event)

    def _messages(self, word: str) -> Iterator[Completion]:
        """Yield message numbers. Other words are searched in subjects and senders."""
        session = self._session
        if not session.connected:
            return
        numbers = [n for n in session.messages() if not word.isdigit() or str(n).startswith(word)]
        session.prefetch_headers(numbers[-MAX_OFFERED:])
        for number in numbers[-MAX_OFFERED:]:
            summary = session.summaries.get(number)
            about = f"{summary.subject}  {summary.sender}" if summary else ""
            if word.isdigit() or word.lower() in about.lower():
                yield Completion(str(number), -len(word), display_meta=cut(about, 60))


def _commands(word: str) -> Iterator[Completion]:
    if not word or not word.isupper():
        for name, command in COMMANDS.items():
            if name.startswith(word.lower()):
                yield Completion(name, -len(word), display_meta=command.help)
    for verb in VERBS:
        if verb.startswith(word.upper()) and (word.isupper() or verb.lower() not in COMMANDS):
            yield Completion(verb, -len(word), display_meta="as typed")


def _numbers(word: str) -> int:
    """Return how many arguments of a command are numbers of messages."""
    command = COMMANDS.get(word.lower())
    return command.numbers if command else NUMBERED.get(word.upper(), 0)
