"""Runs of `pop3 fetch`: pauses and signals."""

from __future__ import annotations

import subprocess
import sys

# A signal that comes at each line of a pause, in the standard library too: the handler runs there.
SIGNALS_AT_EACH_LINE = """
import signal, sys
from restante.cli.fetching.stopper import Stopper

def trace(frame, event, _):
    if event == "line" and frame.f_code.co_name not in ("_wake", "put"):
        signal.raise_signal(signal.SIGUSR1)
    return trace

stopper = Stopper()
with stopper.handling_signals():
    sys.settrace(trace)
    for _ in range(3):
        stopper.wait(0)
    sys.settrace(None)
"""


def test_signals_in_pause() -> None:
    """A signal at any line of a pause ends it, and does not wait for the pause's own lock."""
    ran = subprocess.run([sys.executable, "-c", SIGNALS_AT_EACH_LINE], timeout=60, check=False)
    assert ran.returncode == 0
