"""The program `pop3`: the group of subcommands as a process of its own."""

from __future__ import annotations

import atexit
import codecs
import contextlib
import errno
import gc
import io
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import NoReturn

    from _typeshed import ReadableBuffer

DISK = 12  # the exit codes; it also stands for other shortages of this machine
INTERRUPTED = 130
MISTAKE = 2


def run() -> None:
    """Run `pop3`, and exit.

    The garbage collector skips what lives as long as the process: what is imported first, and at
    the exit all that is left. Short commands spend a tenth of their time less. Ctrl-C before and
    after the command ends the process at once, without a traceback, unless the caller ignores it.
    """
    _open_closed_streams()
    _make_output_whole()
    reports_interrupts = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if reports_interrupts:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # no command can report it yet
    gc.disable()
    from restante.cli.main import main

    if reports_interrupts:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    gc.freeze()
    gc.enable()
    atexit.register(gc.freeze)
    try:
        main()
    except SystemExit as end:
        _exit_beside_threads(end.code)
        raise
    except KeyboardInterrupt:  # one more, while the first one is being reported
        sys.exit(INTERRUPTED)
    except (MemoryError, ModuleNotFoundError, OSError, RuntimeError) as error:
        _end_with_text(error)
        raise
    finally:
        if reports_interrupts:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # no command can report it any more


def _exit_beside_threads(code: object) -> None:
    """End the process at once if a thread still works, such as a look-up that hangs.

    The normal end of a process clears OpenSSL, and a thread within a handshake would crash. So
    nothing is cleared then. Threads that must not be cut off end first; all output is written.
    """
    daemon_threads = sys.modules.get("restante.net.daemon_threads")
    if daemon_threads is None or not daemon_threads.any_running() or not isinstance(code, int):
        return
    for thread in threading.enumerate():
        if not thread.daemon and thread is not threading.main_thread():
            thread.join()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        return  # the normal end reports it
    os._exit(code & 0xFF)


NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""Errors of a file that the output goes to. Those of all other files have a name."""


def shortage(error: BaseException) -> str:
    """Return what the system has too little of, and what to do; "" for another error.

    The error may follow from a shortage, as when an event loop cannot be closed.
    """
    cause: BaseException | None = error
    while cause is not None:
        if text := _name_shortage(cause):
            return text
        cause = cause.__context__
    return ""


def _name_shortage(error: BaseException) -> str:
    """Return the text of one error of the system, "" for another one."""
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        from restante.system_errors import explain

        return explain(error)
    if isinstance(error, MemoryError):
        return "the memory is not enough; free some, or raise `ulimit -v` or the unit's MemoryMax"
    if str(error) == "can't start new thread":
        remedy = "raise `ulimit -u`, `ulimit -v` or the unit's TasksMax"
        return f"the system allows no more threads; {remedy}"
    return ""


def _end_with_text(error: Exception) -> None:
    """Report a shortage or a missing library, and exit. Returns for another error."""
    if isinstance(error, ModuleNotFoundError):
        from restante.cli.output.version import find_extra

        if extra := find_extra(error.name or ""):
            remedy = f"pip install 'restante[{extra}]'"
            sys.stderr.write(f"pop3: the command requires {error.name}; {remedy}\n")
            sys.exit(MISTAKE)
    elif text := shortage(error):
        sys.stderr.write(f"pop3: {text}\n")
        sys.exit(DISK)
    elif isinstance(error, OSError) and error.filename is None:
        if error.errno in NO_ROOM:
            from restante.system_errors import explain

            _end_without_output(explain(error))
        elif error.errno == errno.EBADF and _is_output_closed():
            _end_without_output("it is closed; redirect it to a file, or to /dev/null")


def _is_output_closed() -> bool:
    """Return whether the caller has closed the standard output: see `_open_closed_streams`."""
    import fcntl

    return fcntl.fcntl(1, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY


def _end_without_output(reason: str) -> NoReturn:
    """Report that the output cannot be written, drop what is left of it, and exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.stderr.write(f"pop3: the output cannot be written: {reason}\n")
    sys.exit(DISK)


def _open_closed_streams() -> None:
    """Open the standard streams that the caller has closed, so that each is a file and empty.

    Python has None for them, and the next file or socket would get their numbers. What a command
    prints is an error then, as with a full disk: an app password, for example, is shown only once.
    """
    for name, mode, flags in (
        ("stdin", "r", os.O_RDONLY),
        ("stdout", "w", os.O_RDONLY),  # EBADF for each line
        ("stderr", "w", os.O_WRONLY),
    ):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, flags)
            setattr(sys, name, open(descriptor, mode))  # noqa: SIM115  # it lasts as the process


def _make_output_whole() -> None:
    """Let the output have all that is written to it, and escapes for what the locale cannot have.

    A pipe that does not block, and PYTHONUNBUFFERED, would lose what one call does not write.
    """
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            if not os.get_blocking(stream.fileno()):
                os.set_blocking(stream.fileno(), True)
    if isinstance(sys.stdout, io.TextIOWrapper) and isinstance(sys.stdout.buffer, io.RawIOBase):
        number, charset = sys.stdout.fileno(), sys.stdout.encoding
        sys.stdout = open(number, "w", 1, charset, closefd=False)  # noqa: SIM115  # for all lines
    if (errors := sys.__stderr__) is not None and sys.stderr is errors:
        file = io.BufferedWriter(_ErrorFile(errors.fileno(), "w", closefd=False))
        sys.stderr = io.TextIOWrapper(file, errors.encoding, line_buffering=True)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ESCAPES)


class _ErrorFile(io.FileIO):
    """Standard error, which drops what it cannot have, as with a full disk or without a reader.

    So a warning that cannot be printed makes no command fail: the mail counts, and the exit code.
    """

    def write(self, octets: ReadableBuffer) -> int:
        try:
            return super().write(octets)
        except OSError:
            return memoryview(octets).nbytes


_ESCAPES = "restante-escapes"


def _escape(error: UnicodeError) -> tuple[str, int]:
    """Return the escapes of JSON for characters that cannot be encoded: some output is JSON."""
    import json  # a locale in UTF-8 needs it never

    if not isinstance(error, UnicodeEncodeError):
        raise error
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


codecs.register_error(_ESCAPES, _escape)
