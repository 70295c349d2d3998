"""The command `pop3` without its start: a process that has imported everything forks for each run.

`python fork_server.py CONTROL` is that process; CONTROL is its end of a socket. A run differs from
one of the command by nothing but the imports, which cost ten times what most runs cost.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import gc
import importlib
import json
import os
import pkgutil
import re
import resource
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn, Self

LATE = ("dns.asyncresolver", "getpass", "http.client", "http.server", "joserfc.jwt", "webbrowser")
"""Modules that commands import on demand, beside those of Restante."""

LARGEST = 1 << 17  # octets of a request

_PR_SET_PDEATHSIG = 1

COMMAND = Path(sys.executable).parent / "pop3"


def at_start(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what the start of an interpreter reads: a fork has read it before."""
    named = re.compile("LANG|LC_|LD_|PYTHON(?!_|DONTWRITEBYTECODE)")
    return {name: value for name, value in environment.items() if named.match(name)}


AT_START = at_start(os.environ)


class ForkServer:
    """The process that forks, as the tests see it."""

    def __init__(self) -> None:
        here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with there:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(there.fileno())],
                pass_fds=[there.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
        self._control, self._lock = here, threading.Lock()

    def start(self, words: list[str], environment: dict[str, str], *files: int) -> ForkedProcess:
        """Run a command. The files become its standard input, output and error."""
        assert words[0] == str(COMMAND), "a fork is this command only"
        assert at_start(environment) == AT_START, "a fork does not read this"
        request = {
            "words": words,
            "environment": environment,
            "folder": os.getcwd(),
            "open_files": resource.getrlimit(resource.RLIMIT_NOFILE),
        }
        here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with there, self._lock:
            socket.send_fds(self._control, [json.dumps(request).encode()], [*files, there.fileno()])
        return ForkedProcess(here)


class ForkedProcess:
    """A command that runs. It has what the tests need of `subprocess.Popen`."""

    def __init__(self, status: socket.socket) -> None:
        self._status = status
        pid, (self._handle,), _, _ = socket.recv_fds(status, 16, 1)
        self.pid = int(pid)
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return the exit code, or None while it runs."""
        if self.returncode is None and select.select([self._status], [], [], 0)[0]:
            self.returncode = int(self._status.recv(16))
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code. Raises subprocess.TimeoutExpired."""
        if self.returncode is None and not select.select([self._status], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired("pop3", timeout or 0.0)
        code = self.poll()
        assert code is not None
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):  # it ended just now
                signal.pidfd_send_signal(self._handle, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.wait()
        self._status.close()
        os.close(self._handle)


@functools.cache
def fork_server() -> ForkServer:
    """Return the one of this process."""
    return ForkServer()


def import_all() -> None:
    """Import what any command imports. What cannot be imported here, the command reports itself."""
    restante = importlib.import_module("restante")
    names = [module.name for module in pkgutil.walk_packages(restante.__path__, "restante.")]
    for name in (*names, *LATE):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    gc.collect()
    gc.freeze()  # otherwise each child would copy all of it to collect garbage


class Forks:
    """The children of the process that forks."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._running: dict[int, tuple[int, socket.socket]] = {}  # pid and status, by handle

    def serve(self) -> None:
        """Fork for each request, and report how each child ended, until the tests are over."""
        control = self._control.fileno()
        while True:
            for ready in select.select([control, *self._running], [], [])[0]:
                if ready != control:
                    self._report(ready)
                    continue
                octets, files, _, _ = socket.recv_fds(self._control, LARGEST, 4)
                if not octets:
                    return
                self._fork(json.loads(octets), files)

    def _fork(self, request: dict[str, Any], files: list[int]) -> None:
        pid = os.fork()
        if pid == 0:
            self._become_command(request, files)
        status = socket.socket(fileno=files.pop())
        for file in files:
            os.close(file)
        handle = os.pidfd_open(pid)
        self._running[handle] = pid, status
        socket.send_fds(status, [str(pid).encode()], [handle])

    def _report(self, handle: int) -> None:
        pid, status = self._running.pop(handle)
        os.close(handle)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        with status, contextlib.suppress(OSError):
            status.send(str(code).encode())

    def _become_command(self, request: dict[str, Any], files: list[int]) -> NoReturn:
        _die_with_parent()
        self._control.close()
        for handle, (_, status) in self._running.items():
            os.close(handle)
            status.close()
        for number, file in enumerate(files[:3]):
            os.dup2(file, number)
        for file in files:
            os.close(file)
        os.chdir(request["folder"])
        resource.setrlimit(resource.RLIMIT_NOFILE, request["open_files"])
        os.environ.clear()
        os.environ.update(request["environment"])
        time.tzset()
        sys.argv = request["words"]
        _run_command()


def _die_with_parent() -> None:
    """Let this process be killed when the one that forked it ends: no server outlives the tests."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _run_command() -> NoReturn:
    """Run the command as its script does, and end as an interpreter does, but tear nothing down."""
    from restante.cli.main import main

    code: Any = 1
    try:
        main()
    except SystemExit as error:
        code = error.code
        if isinstance(code, str):
            sys.stderr.write(f"{code}\n")
    except BaseException:  # noqa: BLE001  # it is shown as an interpreter shows it
        sys.excepthook(*sys.exc_info())
    threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001  # it waits for threads
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


if __name__ == "__main__":
    sys.path[0] = str(Path(sys.executable).parent)  # as it is for the script
    import_all()
    Forks(socket.socket(fileno=int(sys.argv[1]))).serve()
