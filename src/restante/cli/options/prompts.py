"""Questions to a person. The end of a file or a pipe is not an interruption, Ctrl-D is one."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

import click

from restante.cli.errors import CommandFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

UNANSWERED = 2  # exit codes
NOT_CONFIRMED = 13


def ask(question: str, advice: str, **settings: Any) -> str:
    """Return what a person types after a question.

    Args:
        question: what is asked.
        advice: what to do if the input ends before an answer.
        settings: those of click.prompt.

    Raises CommandFailed: the input has ended, or is in another charset. Raises KeyboardInterrupt:
    the user interrupts, by Ctrl-C or Ctrl-D.
    """
    import getpass
    import warnings

    with _report_missing_answer(advice), _letting_interrupt(), warnings.catch_warnings():
        warnings.simplefilter("ignore", getpass.GetPassWarning)  # it also warns in words
        answer: str = click.prompt(question, **settings)
    return answer


def ask_to_confirm(question: str, advice: str, *, err: bool = False) -> bool:
    """Return whether a person says yes. The arguments and errors are those of `ask`."""
    with _report_missing_answer(advice), _letting_interrupt():
        return click.confirm(question, default=False, err=err)


def require_confirmation(question: str, unchanged: str, *, err: bool = False) -> None:
    """Ask a person to confirm what a command is about to do.

    `unchanged` is the state without it, such as "Nothing was deleted". Raises CommandFailed: the
    person does not confirm, or there is no terminal to ask at.
    """
    if not sys.stdin.isatty():
        text = f"cannot ask for confirmation without a terminal; {unchanged.lower()}. Use --yes."
        raise CommandFailed(text, UNANSWERED)
    if not ask_to_confirm(question, f"{unchanged}; use --yes.", err=err):
        raise CommandFailed(f"{unchanged}.", NOT_CONFIRMED)


@contextlib.contextmanager
def _report_missing_answer(advice: str) -> Iterator[None]:
    """Distinguish the end of the input from an interruption: click has one exception for both.

    The error about an answer in another charset does not repeat it: it may be a password.
    """
    try:
        yield
    except UnicodeDecodeError as error:
        charset = error.encoding.upper()
        text = f"The answer is not {charset}; set the terminal to {charset}. {advice}"
        raise CommandFailed(text, UNANSWERED) from None
    except click.Abort as error:
        at_terminal = sys.stdin is not None and sys.stdin.isatty()
        if at_terminal or not isinstance(error.__context__, EOFError):
            raise KeyboardInterrupt from None  # click's is an Exception, as failures are
        text = f"No answer was given, because the input has ended. {advice}"
        raise CommandFailed(text, UNANSWERED) from None


@contextlib.contextmanager
def _letting_interrupt() -> Iterator[None]:
    """Let Ctrl-C end a question at once, also where a command handles it, as `pop3 fetch` does.

    The same holds for SIGTERM, which such a command handles, too.
    """
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    handled = {number: handler for number, handler in before.items() if callable(handler)}
    if threading.current_thread() is not threading.main_thread():
        handled.clear()  # only the main thread may set handlers
    for number in handled:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in handled.items():
            signal.signal(number, handler)
