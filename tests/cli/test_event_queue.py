"""The events that the main thread of a command waits for."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

from restante.cli.event_queue import EventQueue

# The system gives the signal to another thread, so that the wait of the main thread goes on.
SIGNAL_AT_ANOTHER_THREAD = """
import os, signal, threading, time
from restante.cli.event_queue import EventQueue

events = EventQueue()
signal.signal(signal.SIGUSR1, lambda number, _: events.put("a signal"))

def send():
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})
    time.sleep(0.2)
    os.kill(os.getpid(), signal.SIGUSR1)
    time.sleep(60)

signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
with events:
    threading.Thread(target=send, daemon=True).start()
    assert events.get(30) == "a signal"
"""


def test_signal_that_interrupts_no_wait() -> None:
    """A signal ends the wait although it does not interrupt the main thread."""
    begun = time.monotonic()
    subprocess.run([sys.executable, "-c", SIGNAL_AT_ANOTHER_THREAD], timeout=60, check=True)
    assert time.monotonic() - begun < 30


def test_events_of_threads() -> None:
    """Events come in their order, and those that came before the wait, too."""
    events: EventQueue[int] = EventQueue()
    with events:
        assert events.get(0) is None
        for number in range(3):
            events.put(number)
        thread = threading.Timer(0.05, events.put, [3])
        thread.start()
        assert [events.get() for _ in range(4)] == [0, 1, 2, 3]
        thread.join()
        assert events.get(0.01) is None


def test_more_events_than_the_system_holds() -> None:
    """Many events without a wait are all kept, and none blocks its thread."""
    events: EventQueue[int] = EventQueue()
    with events:
        for number in range(5000):
            events.put(number)
        assert [events.get(0) for _ in range(5001)] == [*range(5000), None]


def test_event_after_the_end() -> None:
    """A thread that ends later than the program's loop may still add its event."""
    events: EventQueue[int] = EventQueue()
    with events:
        pass
    events.put(1)


def test_a_wait_of_months() -> None:
    """A pause may be longer than the system's longest wait, which is some weeks."""
    events: EventQueue[int] = EventQueue()
    with events:
        thread = threading.Timer(0.05, events.put, [1])
        thread.start()
        assert events.get(90 * 86400.0) == 1
        thread.join()
