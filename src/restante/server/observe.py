"""The log: one line an event, as `key=value` or JSON, on standard error.

Lines are written by a thread of their own. Where nobody reads them, say from a pipe, they are
thrown away and counted, rather than stop the server.
"""

from __future__ import annotations

import queue
import sys
import threading
from typing import IO, TYPE_CHECKING, Literal, TypeAlias

import structlog

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger, Processor

Format: TypeAlias = Literal["text", "json"]

MOST_WAITING = 10_000  # lines


class Writer:
    """A file that never makes its writer wait."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._waiting: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._lost = 0
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def write(self, line: str) -> None:
        """Take a line, without its end."""
        if self._waiting.qsize() < MOST_WAITING:
            self._waiting.put(line)
        else:
            self._lost += 1

    def close(self, patience: float = 1) -> None:
        """Write what is waiting, but wait no longer than so many seconds."""
        self._waiting.put(None)
        self._thread.join(patience)

    def _run(self) -> None:
        while (line := self._waiting.get()) is not None:
            lost, self._lost = self._lost, 0
            if lost:
                line = f"{line}\nevent=log lines_lost={lost}"
            try:
                self._file.write(line + "\n")
                self._file.flush()
            except (OSError, ValueError):
                self._lost += 1


class _Logger:
    """What structlog hands its finished lines to."""

    def __init__(self, writer: Writer) -> None:
        self.info = self.warning = self.error = writer.write


def start(form: Format, file: IO[str] = sys.stderr) -> tuple[FilteringBoundLogger, Writer]:
    """Return a log, and the writer to close at the end."""
    render: Processor
    if form == "json":
        render = structlog.processors.JSONRenderer()
    else:
        render = structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"])
    writer = Writer(file)
    log: FilteringBoundLogger = structlog.wrap_logger(
        _Logger(writer),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(0),
    )
    return log, writer
