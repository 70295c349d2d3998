"""Loggers for servers within a program: the usual one, and two that drop events.

structlog is imported only where its logger is used: it takes a fifth of the start of `pop3 dev`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from restante.protocol.text import printable_lines

if TYPE_CHECKING:
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


class _IncidentLogger(_SilentLogger):
    """Prints errors on standard error, and drops all other events."""

    def error(self, event: str, /, *_: object, exc_info: object = None, **facts: object) -> None:
        import sys
        import traceback

        lines = [" ".join((event, *(f"{key}={fact}" for key, fact in facts.items())))]
        if isinstance(exc_info, BaseException):
            lines += traceback.format_exception(exc_info)
        text = "\n".join(line.rstrip("\n") for line in lines)
        sys.stderr.write(f"{printable_lines(text)}\n")


SILENT = cast("FilteringBoundLogger", _SilentLogger())
"""A logger without a reader."""

INCIDENTS = cast("FilteringBoundLogger", _IncidentLogger())
"""A logger for a terminal: of an error of ours, clients only get the number."""
