"""The log: one line an event, as `key=value` or JSON, on standard error.

Lines are written by a separate thread. If the reader of a pipe stops reading, they are
dropped and counted, so that the server continues.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import queue
import re
import select
import sys
import threading
import time
from typing import IO, TYPE_CHECKING, Literal, TypeAlias, cast

import structlog

from restante.server.log.journal import JournalSocket, connect_journal, format_entry
from restante.server.log.line_file import LineFile
from restante.server.log.rate import LogRate

if TYPE_CHECKING:
    from collections.abc import Callable

    from structlog.typing import EventDict, FilteringBoundLogger

    from restante.server.limits.failures import FailureTable
    from restante.server.limits.process_lock import ProcessLock
    from restante.server.observer import ServerObserver

Format: TypeAlias = Literal["text", "json"]

MAX_WAITING = 10_000  # lines
MAX_COUNTED = 65_536  # addresses of a flood that processes count together
LONGEST_VALUE = 1024  # characters of a value
LONGEST_TRACE = 32 * 1024  # characters of a traceback
_NEEDS_QUOTES = re.compile(r'[\s"=]')
PATIENCE = 0.5  # seconds for which a line may wait without a thread
PAUSE = 0.02  # seconds between two writes: to wake a thread for each line costs the others dearly


class LogWriter:
    """A log file to which a write never waits. `format_lost` formats a number of lost lines.

    After `begin`, a thread writes. Without it, as in a process that will fork, a line is written at
    once, and lost if it would have to wait long. `turn` is a lock that is held for each line, so
    that several processes with one file do not mix their lines.
    """

    def __init__(
        self,
        file: IO[str] | JournalSocket,
        format_lost: Callable[[int], str],
        turn: ProcessLock | None = None,
    ) -> None:
        self.patience: float | None = PATIENCE  # None: a line without a thread waits for ever
        self._file = file if isinstance(file, JournalSocket) else LineFile(file)
        self._format_lost = format_lost
        self._turn = turn
        self._waiting: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._lost = 0
        self._thread: threading.Thread | None = None
        self.on_lost: Callable[[int], object] = bool  # called with the number of lines lost
        self.at_begin: Callable[[], object] = bool  # called in a process that was just forked
        self.at_end: Callable[[], object] = bool  # writes the last lines
        self.at_close: Callable[[], object] = bool  # called after the last line

    def begin(self) -> None:
        """Let a thread write from now on. A forked process has a turn of its own."""
        if self._turn is not None:
            self._turn.after_fork()
        self.at_begin()
        thread = threading.Thread(target=self._run, name="log", daemon=True)
        thread.start()  # without it, as at a limit of threads, lines are written at once
        self._thread = thread

    def write(self, line: str) -> None:
        """Write a line, which is given without its end, or queue it for the thread."""
        if self._thread is None:
            self._write_soon(line)
        elif self._waiting.qsize() < MAX_WAITING:
            self._waiting.put(line)
        else:
            self._lose(1)

    def close(self, patience: float = 1) -> None:
        """Write the waiting lines, within a number of seconds."""
        self.at_end()
        if self._thread is not None:
            self._waiting.put(None)
            self._thread.join(patience)
        self.at_close()

    def _run(self) -> None:
        going_on = True
        while going_on:
            lines, going_on = self._take()
            with self._turn or contextlib.nullcontext():
                self._write(lines)
            if going_on:
                time.sleep(PAUSE)

    def _take(self) -> tuple[list[str], bool]:
        """Wait for a line, and return all queued lines, and whether more may follow."""
        lines = []
        line = self._waiting.get()
        while line is not None:
            lines.append(line)
            try:
                line = self._waiting.get_nowait()
            except queue.Empty:
                return lines, True
        return lines, False

    def _write_soon(self, line: str) -> None:
        if self._turn is not None and not self._turn.acquire(self.patience or 0):
            self._lose(1)
            return
        try:
            if self.patience is None or select.select([], [self._file], [], self.patience)[1]:
                self._write([line])
            else:
                self._lose(1)
        finally:
            if self._turn is not None:
                self._turn.release()

    def _write(self, lines: list[str]) -> None:
        lost, self._lost = self._lost, 0
        loss = [self._format_lost(lost)] if lost else []
        failed = self._file.writelines([f"{line}\n" for line in [*lines, *loss]])
        if failed:
            self._lost += lost
            self._lose(failed - len(loss))

    def _lose(self, lines: int) -> None:
        self._lost += lines
        self.on_lost(lines)


class _EventWriter:
    """Makes a line of each event, and writes it unless there are too many of its kind."""

    def __init__(
        self,
        writer: LogWriter,
        render: Callable[[EventDict], str],
        *,
        pid: bool,
        written: FailureTable | None = None,
        observer: ServerObserver | None = None,
    ) -> None:
        self.rate = LogRate(
            lambda values: writer.write(self.format("warning", "log", values)), written=written
        )
        self._write = writer.write
        self._render = render
        self._pid = pid
        self._observer = observer
        self._second = 0, ""  # since 1970, and as text

    def log(self, level: str, name: str, values: EventDict) -> None:
        """Write an event, unless there are too many of its kind."""
        event = self._stamp(level, name, values)
        if self._observer is not None:
            self._observer.note_event(event)
        if self.rate.allows(event):
            self._write(self._render(event))
        elif self._observer is not None:
            self._observer.note_left_out()

    def format(self, level: str, name: str, values: EventDict) -> str:
        """Return the line of an event."""
        return self._render(self._stamp(level, name, values))

    def _stamp(self, level: str, name: str, values: EventDict) -> EventDict:
        """Return an event with all its keys, the time in the form of RFC 3339."""
        now = time.time()
        second, text = self._second
        if int(now) != second:  # a second's text serves all its lines; log() may run in any thread
            second = int(now)
            text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            self._second = second, text
        timestamp = f"{text}.{int((now - second) * 1e6):06}Z"
        event = {"timestamp": timestamp, "level": level, "event": name, **values}
        if self._pid:
            event["pid"] = os.getpid()
        return event


class _EventLogger(structlog.BoundLoggerBase):
    """structlog's logger, but events go straight to the writer.

    structlog's own way, through a chain of processors, took 14 % of the time of a short session:
    each session writes two lines.
    """

    _logger: _EventWriter

    def info(self, event: str, **values: object) -> None:
        """Log a usual event."""
        self._logger.log("info", event, {**self._context, **values})

    def warning(self, event: str, **values: object) -> None:
        """Log an event that administrators should know."""
        self._logger.log("warning", event, {**self._context, **values})

    def error(self, event: str, **values: object) -> None:
        """Log an error that an administrator must correct, with `exc_info` if that is there."""
        values = {**self._context, **values}
        format_exception = structlog.processors.format_exc_info
        self._logger.log("error", event, format_exception(None, "error", values))

    def exception(self, event: str, **values: object) -> None:
        """Log an error with the exception that is being handled."""
        self.error(event, **{"exc_info": True, **values})


def configure_log(
    form: Format,
    file: IO[str] = sys.stderr,
    *,
    threaded: bool = True,
    observer: ServerObserver | None = None,
) -> tuple[FilteringBoundLogger, LogWriter]:
    """Return a log, and the writer to close at the end. Without a thread, lines come at once."""
    log, writer = _prepare(form, file, observer=observer)
    if threaded:
        writer.begin()
    else:
        writer.patience = None
    return log, writer


def configure_shared_log(
    form: Format, turn: ProcessLock, observer: ServerObserver | None = None
) -> tuple[FilteringBoundLogger, LogWriter]:
    """Return a log for processes that will be forked. Each line has its process.

    Each of them begins its writer after the fork, and closes it at its end. They share the rate.
    """
    from restante.server.limits.shared_table import SharedTimestamps

    written = SharedTimestamps(MAX_COUNTED)
    log, writer = _prepare(form, sys.stderr, turn, written=written, observer=observer)
    writer.at_begin = written.after_fork
    return log, writer


def _prepare(
    form: Format,
    file: IO[str],
    turn: ProcessLock | None = None,
    *,
    written: FailureTable | None = None,
    observer: ServerObserver | None = None,
) -> tuple[FilteringBoundLogger, LogWriter]:
    journal = connect_journal(file)
    writer = LogWriter(
        journal or file,
        lambda n: events.format("warning", "log", {"lines_lost": n}),
        turn,
    )
    render = _as_json if form == "json" else _as_text
    if observer is not None:
        writer.on_lost = observer.note_lost_lines
    if journal is not None:
        writer.at_close = journal.close
        render = functools.partial(_as_entry, render)
    events = _EventWriter(writer, render, pid=turn is not None, written=written, observer=observer)
    writer.at_end = events.rate.begin_anew
    log = structlog.wrap_logger(events, processors=[], wrapper_class=_EventLogger)
    bound = log.bind()  # a logger that was never bound is made anew for each line
    return cast("FilteringBoundLogger", bound), writer


def _as_entry(render: Callable[[EventDict], str], event: EventDict) -> str:
    """Return an event as an entry of the journal, with the line as its message."""
    level = event["level"]
    values = {k: _cut(k, v) if isinstance(v, str) else v for k, v in event.items()}
    return format_entry(render(event), level, values)


def _as_text(event: EventDict) -> str:
    """Return an event as key=value: there are two lines a session, so they must cost little."""
    template = _template(tuple(event))
    line = template % tuple(event.values())
    if _is_plain(line, len(event)):
        return line
    return template % tuple(_quote(k, v) if isinstance(v, str) else v for k, v in event.items())


def _is_plain(line: str, keys: int) -> bool:
    """Return whether no value requires quotes, escapes or a cut, as in nearly all lines.

    If so, all spaces and equals signs are those of the template.
    """
    return (
        len(line) <= LONGEST_VALUE
        and line.count("=") == line.count(" ") + 1 == keys
        and '"' not in line
        and line.isprintable()
    )


@functools.lru_cache  # few kinds of events come again and again
def _template(keys: tuple[str, ...]) -> str:
    return " ".join(f"{key}=%s" for key in keys)


def _as_json(event: EventDict) -> str:
    """Return an event as one JSON object."""
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = _escape(_cut(key, value))
    return json.dumps(event, default=repr)


def _cut(key: str, value: str) -> str:
    """Cut a long value, since clients choose some of them. A traceback loses its beginning."""
    if len(value) <= LONGEST_VALUE:
        return value
    if key == "exception":
        return value[-LONGEST_TRACE:]
    return f"{value[:LONGEST_VALUE]}... ({len(value)} characters)"


def _quote(key: str, value: str) -> str:
    text = _escape(_cut(key, value))
    if not _NEEDS_QUOTES.search(text):
        return text
    text = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{text}"'


def _escape(text: str) -> str:
    """Show control characters as escapes, so that no text can forge a line or paint a terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)
