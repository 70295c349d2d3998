"""The line editor: marks in the prompt, idle time beside it, no secret in sight."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prompt_toolkit import PromptSession
from prompt_toolkit.formatted_text import fragment_list_to_text
from prompt_toolkit.layout.processors import Processor, Transformation

from restante.cli.shell import history
from restante.cli.shell.completer import ShellCompleter
from restante.protocol.client.raw_command import secret_start

if TYPE_CHECKING:
    from collections.abc import Callable

    from prompt_toolkit.layout.processors import TransformationInput

    from restante.cli.shell.session import ShellSession

MINUTE = 60
WARN = 5 * MINUTE
SHORTEST = 10 * MINUTE  # RFC 1939 section 3: the minimum of a server's idle timeout


def reader(session: ShellSession, redacted: Callable[[str], str]) -> Callable[[], str]:
    """Return what reads a line; it raises KeyboardInterrupt at Ctrl-C, EOFError at Ctrl-D."""
    prompts: PromptSession[str] = PromptSession(
        history=history.open_(redacted),
        completer=ShellCompleter(session),
        complete_while_typing=False,
        input_processors=[Hide()],
        rprompt=lambda: idle_text(session.idle),
        refresh_interval=10,
        enable_suspend=True,
    )
    return lambda: prompts.prompt(prompt_text(session))


def prompt_text(session: ShellSession) -> str:
    """Return the prompt, which counts the marks."""
    if not session.connected:
        return "pop3 (not connected)> "
    marked = len(session.marked)
    return f"pop3 -{marked}> " if marked else "pop3> "


def idle_text(seconds: float) -> str:
    """Return a warning for who has said nothing for long, else ""."""
    minutes = int(seconds // MINUTE)
    if seconds < WARN:
        return ""
    if seconds < SHORTEST:
        return f"idle {minutes} min; the server may disconnect after {SHORTEST // MINUTE}"
    return f"idle {minutes} min; the server may have disconnected"


class Hide(Processor):
    """Shows stars in place of a secret."""

    def apply_transformation(self, transformation_input: TransformationInput) -> Transformation:
        """Return the line as it is shown: a star for a character, so that the cursor is right."""
        fragments = transformation_input.fragments
        text = fragment_list_to_text(fragments)
        start = secret_start(text)
        if start == len(text):
            return Transformation(fragments)
        return Transformation([("", text[:start] + "*" * (len(text) - start))])
