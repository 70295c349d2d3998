"""Loggers for servers within a program and for commands, which print little or nothing.

structlog is imported only where its logger is used: it takes a fifth of the start of `pop3 dev`.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, cast

from restante.protocol.text import printable_lines

if TYPE_CHECKING:
    from collections.abc import Callable

    from structlog.typing import FilteringBoundLogger


def default_logger() -> FilteringBoundLogger:
    """Return the logger that structlog is configured to give."""
    import structlog

    logger: FilteringBoundLogger = structlog.get_logger()
    return logger


class _SilentLogger:
    """Has the methods of a logger, and does nothing in them."""

    def bind(self, **_: object) -> _SilentLogger:
        return self

    def _drop(self, _event: str, /, *_: object, **__: object) -> None:
        pass

    debug = info = warning = error = critical = exception = _drop


def _print(text: str) -> None:
    sys.stderr.write(f"{text}\n")


class _IncidentLogger(_SilentLogger):
    """Prints errors, on standard error by default, and drops all other events."""

    def __init__(self, write: Callable[[str], object] = _print) -> None:
        self._write = write

    def bind(self, **_: object) -> _IncidentLogger:
        return self

    def error(self, event: str, /, *_: object, exc_info: object = None, **facts: object) -> None:
        import traceback

        lines = [" ".join((event, *(f"{key}={fact}" for key, fact in facts.items())))]
        if isinstance(exc_info, BaseException):
            lines += traceback.format_exception(exc_info)
        text = "\n".join(line.rstrip("\n") for line in lines)
        self._write(printable_lines(text))

    def exception(self, event: str, /, *_: object, **facts: object) -> None:
        self.error(event, exc_info=sys.exception(), **facts)


class _CommandLogger(_IncidentLogger):
    """Prints problems as sentences, and errors of the program itself with their trace."""

    def __init__(
        self, write: Callable[[str], object], write_trace: Callable[[str], object]
    ) -> None:
        super().__init__(write_trace)
        self._write_problem = write

    def warning(self, _event: str, /, *_: object, **facts: object) -> None:
        text = next((facts[key] for key in _PROBLEMS if facts.get(key)), "")
        place = facts.get("user") or facts.get("path")
        if text:
            self._write_problem(printable_lines(f"{place}: {text}" if place else str(text)))

    info = warning

    def error(self, event: str, /, *_: object, exc_info: object = None, **facts: object) -> None:
        if exc_info is None:
            self.warning(event, **facts)
        else:
            super().error(event, exc_info=exc_info, **facts)


_PROBLEMS = ("reason", "problem", "error")
"""The facts of events that say what went wrong."""


def command_logger(
    write: Callable[[str], object] = _print, write_trace: Callable[[str], object] = _print
) -> FilteringBoundLogger:
    """Return a logger for a command, whose users read sentences and no events."""
    return cast("FilteringBoundLogger", _CommandLogger(write, write_trace))


SILENT = cast("FilteringBoundLogger", _SilentLogger())
"""A logger without a reader."""

INCIDENTS = cast("FilteringBoundLogger", _IncidentLogger())
"""A logger for a terminal: of an error of ours, clients only get the number."""
