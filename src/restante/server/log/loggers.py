"""Loggers for servers within a program: the usual one, and one that drops all events.

structlog is imported only where its logger is used: it takes a fifth of the start of `pop3 dev`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

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

    def _drop(self, *_: object, **__: object) -> None:
        pass

    debug = info = warning = error = critical = exception = _drop


SILENT = cast("FilteringBoundLogger", _SilentLogger())
"""A logger without a reader."""
