"""The threads for calls to the disk: bounds, calls that hang, and results that come too late."""

from __future__ import annotations

import asyncio
import functools
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable

import pytest

from restante.storage.disk_threads import MAX_EACH
from restante.storage.errors import StoreError
from restante.threads import Threads

Test = Callable[["Hung"], Awaitable[None]]


def disk(*, most: int = 4, most_each: int = MAX_EACH, patience: float = 30) -> Threads:
    return Threads("the disk", StoreError, most=most, most_each=most_each, patience=patience)


class Hung:
    """Calls that hang until the test ends."""

    def __init__(self) -> None:
        self.end = threading.Event()
        self.under_way = 0

    def __call__(self) -> None:
        self.under_way += 1
        self.end.wait(30)


def run(test: Test) -> None:
    hung = Hung()
    try:
        asyncio.run(_within(test, hung))
    finally:
        hung.end.set()


async def _within(test: Test, hung: Hung) -> None:
    async with asyncio.timeout(20):
        await test(hung)


async def hang(threads: Threads, hung: Hung, user: str, calls: int) -> list[asyncio.Task[None]]:
    """Begin calls, and wait until as many of them hang as may."""
    tasks = [asyncio.create_task(threads.run(user, hung)) for _ in range(calls)]
    while hung.under_way < min(calls, 2):
        await asyncio.to_thread(int)
    return tasks


def test_one_user() -> None:
    """Calls of one user that hang take two threads; other users have the others."""

    async def test(hung: Hung) -> None:
        threads = disk()
        await hang(threads, hung, "ann", 10)
        for number in range(20):
            assert await threads.run(f"user{number}", lambda: "done") == "done"
        assert hung.under_way == 2

    run(test)


def test_own_threads_taken() -> None:
    """A user whose threads hang gets an error in time."""

    async def test(hung: Hung) -> None:
        threads = disk()
        tasks = await hang(threads, hung, "ann", 2)
        threads.patience = 0
        with pytest.raises(StoreError, match="this user's threads wait for it") as caught:
            await threads.run("ann", hung)
        assert not caught.value.permanent
        assert not any(task.done() for task in tasks)

    run(test)


def test_all_threads_taken() -> None:
    """Where all threads hang, a call is refused, which clients read as SYS/TEMP."""

    async def test(hung: Hung) -> None:
        threads = disk(most=2)
        tasks = await hang(threads, hung, "ann", 2)
        threads.patience = 0
        with pytest.raises(StoreError, match="all threads wait for it"):
            await threads.run("bob", hung)
        hung.end.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        threads.patience = 30
        assert await threads.run("bob", lambda: "done") == "done"

    run(test)


def test_given_back() -> None:
    """A result that no task waits for any more is released."""

    async def test(_: Hung) -> None:
        threads = disk()
        begun, go_on = threading.Event(), threading.Event()
        given_back: asyncio.Queue[str] = asyncio.Queue()

        def work() -> str:
            begun.set()
            go_on.wait(20)
            return "lock"

        task = asyncio.create_task(threads.run("ann", work, given_back.put_nowait))
        await asyncio.to_thread(begun.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go_on.set()
        assert await given_back.get() == "lock"

    run(test)


def test_given_back_late() -> None:
    """So is one that is there already in the moment in which its task is cancelled."""

    async def test(_: Hung) -> None:
        given_back: list[str] = []
        threads, loop = disk(most=1), asyncio.get_running_loop()
        begin, both = threading.Event(), threading.Event()

        def lock() -> str:
            begin.wait(20)
            return "lock"

        def cancel() -> None:  # the same thread, after the result was handed over
            loop.call_soon_threadsafe(task.cancel)
            both.set()

        task = asyncio.create_task(threads.run("ann", lock, given_back.append))
        after = asyncio.create_task(threads.run("ann", cancel))
        await asyncio.sleep(0)
        begin.set()
        assert both.wait(20), "the event loop stands still until then"
        await asyncio.gather(task, after, return_exceptions=True)
        assert task.cancelled()
        assert given_back == ["lock"]

    run(test)


def test_closed_loop() -> None:
    """A result that comes after the event loop was closed is given back too."""
    threads = disk()
    begun, go_on, given_back = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        go_on.wait(20)

    async def begin() -> None:
        task = asyncio.ensure_future(threads.run("ann", work, lambda _: given_back.set()))
        await asyncio.to_thread(begun.wait)
        assert not task.done()

    asyncio.run(begin())
    go_on.set()
    assert given_back.wait(20)


def test_withdrawn_call() -> None:
    """A call that was cancelled before it had a thread is never made."""

    async def test(hung: Hung) -> None:
        threads = disk(most=1, most_each=1)
        tasks = await hang(threads, hung, "ann", 1)
        made: list[int] = []
        late = asyncio.create_task(threads.run("bob", lambda: made.append(1)))
        await asyncio.sleep(0)
        late.cancel()
        await asyncio.gather(late, return_exceptions=True)
        hung.end.set()
        await asyncio.gather(*tasks)
        assert await threads.run("bob", lambda: "done") == "done"
        assert made == []

    run(test)


HANG = """
import asyncio, threading
from restante.auth import pam
from restante.auth.oauth import tokens as oauth
from restante.auth.passwords import hashing as password_hashing
from restante.storage.disk_threads import DISK

hung = threading.Event()

def hang(*_):
    hung.set()
    threading.Event().wait()

async def main():
    task = asyncio.ensure_future({call})
    await asyncio.to_thread(hung.wait, 20)
    assert hung.is_set() and not task.done()

asyncio.run(main())
"""


@pytest.mark.parametrize(
    "call",
    [
        "DISK.run('ann', hang)",
        "password_hashing.threads().run('ann', hang)",
        "pam.PamAuthenticator('restante')._passwords._threads.run('ann', hang)",
        "oauth.IssuerPool().run(hang)",
    ],
)
def test_end_of_process(call: str) -> None:
    """A thread that hangs keeps no process from ending."""
    program = HANG.format(call=call)
    assert subprocess.run([sys.executable, "-c", program], timeout=20, check=False).returncode == 0


def test_fork() -> None:
    """A forked process has none of the threads, and makes its own."""
    script = """
import asyncio, os
from restante.storage.disk_threads import DISK
asyncio.run(DISK.run("ann", os.getpid))
child = os.fork()
if child:
    os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
assert asyncio.run(DISK.run("ann", os.getpid)) == os.getpid()
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_no_more_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the system allows no more threads, a call waits for the others; without any it fails, and
    is not carried out later.
    """
    done: list[str] = []
    allowed = True
    start = threading.Thread.start

    def start_if_allowed(thread: threading.Thread) -> None:
        if not allowed:
            raise RuntimeError("can't start new thread")
        start(thread)

    async def test(_: Hung) -> None:
        nonlocal allowed
        monkeypatch.setattr(threading.Thread, "start", start_if_allowed)
        threads = disk(most_each=1)
        allowed = False
        with pytest.raises(StoreError, match="the disk: the system allows no more threads; raise"):
            await threads.run("ann", lambda: done.append("ann"))
        allowed = True
        await threads.run("bob", lambda: done.append("bob"))
        allowed = False
        await asyncio.gather(
            *(threads.run(user, functools.partial(done.append, user)) for user in ("cy", "di"))
        )
        assert done == ["bob", "cy", "di"]

    run(test)
