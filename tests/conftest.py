"""What holds for all tests."""

from __future__ import annotations

import signal

# A shell starts background jobs with SIGINT ignored, and their children inherit that.
# With a handler here, the programs that the tests start get SIGINT's default back.
signal.signal(signal.SIGINT, signal.default_int_handler)
