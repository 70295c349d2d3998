"""A slow disk delays only the sessions that use it."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from restante.storage.disk_latency import DiskLatency
from restante.storage.maildir import MaildirStore
from restante.storage.paths import Layout
from support.live import PATIENCE, Client, Live, serving, wait_until

LETTER = b"Subject: a\n\nhello\n"
BIG = b"Subject: big\n\n" + b"0123456789abcde\n" * 40_000
LATE = 0.05  # seconds


class SlowDisk:
    """The system's calls for files, each with a delay; records the threads that made them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.latency = DiskLatency(math.inf)  # quick until it is said to be late
        self.late = 0.0  # seconds
        self.asked_by: list[int] = []  # identifiers of threads
        self.awake = threading.Event()  # each call waits for it
        self.awake.set()
        self._preadv = os.preadv
        monkeypatch.setattr(os, "preadv", self._read_without_waiting)
        for name in ("open", "stat", "pread", "listdir", "scandir", "unlink", "fsync"):
            monkeypatch.setattr(os, name, self._slow(getattr(os, name)))

    def become_slow(self) -> None:
        """Delay each call from now on, by more than a quick disk takes."""
        self.late = LATE
        self.latency.long = LATE / 2

    def _read_without_waiting(self, *args: Any) -> int:
        if self.late > LATE / 2:
            raise BlockingIOError  # as the system does where RWF_NOWAIT is said
        return self._preadv(*args)

    def _slow(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def slow(*args: Any, **kwargs: Any) -> Any:
            if self.late:
                self.asked_by.append(threading.get_ident())
                time.sleep(self.late)
                self.awake.wait(PATIENCE)
            return call(*args, **kwargs)

        return slow


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> SlowDisk:
    return SlowDisk(monkeypatch)


@pytest.fixture
def live(disk: SlowDisk, tmp_path: Path) -> Iterator[Live]:
    with serving(MaildirStore(Layout(tmp_path), latency=disk.latency)) as live:
        live.add("ann", "secret", LETTER, BIG)
        live.add("bob", "secret", LETTER)
        yield live


def fetch_and_remove_everything(live: Live) -> None:
    with live.connect() as client:
        client.log_in("ann", "secret")
        for number in (1, 2):
            assert client.say(f"RETR {number}").startswith(b"+OK")
            client.read_lines()
            assert client.say(f"TOP {number} 1").startswith(b"+OK")
            client.read_lines()
            client.say(f"DELE {number}")
        assert client.say("QUIT") == b"+OK Logging out.\r\n"


def fetch_until_the_disk_is_trusted(disk: SlowDisk, client: Client) -> None:
    while not disk.latency.is_fast:
        client.say("RETR 1")
        client.read_lines()


def loop_thread(live: Live) -> int:
    async def ask() -> int:
        return threading.get_ident()

    return live.call(ask())


def test_the_event_loop_never_asks_a_slow_disk(live: Live, disk: SlowDisk) -> None:
    """While the disk hangs, other clients are served, and only threads wait for it."""
    disk.become_slow()
    disk.awake.clear()
    with live.connect() as other:
        fetching = threading.Thread(target=fetch_and_remove_everything, args=(live,))
        fetching.start()
        wait_until(lambda: disk.asked_by)
        assert other.read_line().startswith(b"+OK")
        assert other.say("CAPA").startswith(b"+OK")
        other.read_lines()
        disk.awake.set()
        fetching.join()
    assert len(disk.asked_by) > 10
    assert loop_thread(live) not in disk.asked_by


def test_a_disk_that_falls_asleep_stops_the_others_once(live: Live, disk: SlowDisk) -> None:
    """A disk that becomes slow delays the event loop once."""
    with live.connect() as client:
        client.log_in("ann", "secret")
        fetch_until_the_disk_is_trusted(disk, client)
        disk.become_slow()
        for _ in range(5):
            client.say("RETR 1")
            client.read_lines()
    assert disk.asked_by.count(loop_thread(live)) == 1


def test_a_quick_disk_is_asked_without_a_thread(live: Live, disk: SlowDisk) -> None:
    """A fast disk is read on the event loop."""
    with live.connect() as client:
        client.log_in("ann", "secret")
        fetch_until_the_disk_is_trusted(disk, client)
        disk.late = 1e-9
        client.say("RETR 1")
        client.read_lines()
    assert loop_thread(live) in disk.asked_by
