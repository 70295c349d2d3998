"""The threads that write and sync files."""

from __future__ import annotations

import threading

import pytest

from restante.fetch.destinations.sync_threads import SyncThreads


def test_work_is_done_beside_other_work() -> None:
    """Two pieces of work that wait for each other both end, in two threads."""
    threads = SyncThreads(2)
    both = threading.Barrier(2)

    def meet() -> None:
        both.wait(30)

    works = [threads.start(meet) for _ in range(4)]
    assert [work.wait() for work in works] == [None] * 4
    threads.close()


def test_an_error_is_returned() -> None:
    """Work that fails returns its error each time, and the thread goes on."""
    threads = SyncThreads(1)
    done: list[int] = []

    def fail() -> None:
        raise OSError(28, "full")

    failed = threads.start(fail)
    other = threads.start(lambda: done.append(1))
    assert [repr(failed.wait()) for _ in range(2)] == ["OSError(28, 'full')"] * 2
    assert (other.wait(), done) == (None, [1])
    threads.close()


def test_closed_threads_begin_again() -> None:
    """All threads end at `close`, when their work is done; later work gets new ones."""
    threads = SyncThreads(1)
    done: list[int] = []
    for number in range(2):
        threads.start(lambda number=number: done.append(number))  # type: ignore[misc]
        threads.close()
    assert done == [0, 1]


def test_no_thread_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the system allows no thread, the work is done at once; if one runs, it does all of it."""
    done: list[str] = []
    threads = SyncThreads(2)

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        alone = threads.start(lambda: done.append(threading.current_thread().name))
        assert alone.wait() is None
    threads.start(lambda: None).wait()
    monkeypatch.setattr(threading.Thread, "start", refuse)
    threads.start(lambda: done.append(threading.current_thread().name)).wait()
    assert done == [threading.current_thread().name, "fsync"]
    threads.close()
