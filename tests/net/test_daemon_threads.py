"""Threads for work that may hang."""

from __future__ import annotations

import signal
import threading

import pytest

from restante.net import daemon_threads
from support.thread import PATIENCE


def test_the_result_is_that_of_the_work() -> None:
    """Each caller that waits gets the result."""
    thread = daemon_threads.start(lambda: 5, "work")
    assert thread.daemon
    assert thread.result(PATIENCE) == thread.result() == 5


def test_an_error_is_raised_where_the_result_is_asked_for() -> None:
    """An error of the work is raised for each caller, and in no other thread."""

    def work() -> None:
        raise LookupError("nothing")

    thread = daemon_threads.start(work, "work")
    for _ in range(2):
        with pytest.raises(LookupError, match="nothing"):
            thread.result(PATIENCE)


def test_work_that_hangs_is_waited_for_in_vain() -> None:
    """After the time a caller goes on, and the thread too."""
    freed = threading.Event()
    thread = daemon_threads.start(freed.wait, "work")
    with pytest.raises(TimeoutError):
        thread.result(0)
    freed.set()
    assert thread.result(PATIENCE)


def test_finish() -> None:
    """The result and the error of work that must be done are the caller's."""
    assert daemon_threads.finish(lambda: 5, "work") == 5
    with pytest.raises(LookupError):
        daemon_threads.finish({}.popitem, "work")


def test_ctrl_c_before_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C does not wait for work that has not begun."""

    def interrupt(_: threading.Thread) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", interrupt)
    with pytest.raises(KeyboardInterrupt):
        daemon_threads.finish(pytest.fail, "work")


def test_ctrl_c_waits_for_the_work() -> None:
    """Ctrl-C does not cut off work that must be done, and is raised after it."""
    interrupted, done = threading.Event(), []
    main = threading.get_ident()

    def note(*_: object) -> None:
        interrupted.set()
        raise KeyboardInterrupt

    def work() -> None:
        signal.pthread_kill(main, signal.SIGINT)
        assert interrupted.wait(PATIENCE)
        done.append("all")

    before = signal.signal(signal.SIGINT, note)
    try:
        with pytest.raises(KeyboardInterrupt):
            daemon_threads.finish(work, "work")
    finally:
        signal.signal(signal.SIGINT, before)
    assert done == ["all"]
