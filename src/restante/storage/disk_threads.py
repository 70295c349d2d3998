"""The threads that ask the disk, of which no user has more than two."""

from __future__ import annotations

import os

from restante.storage.errors import StoreError
from restante.threads import Threads

MAX_THREADS = 64  # threads
MAX_EACH = 2  # of them for one user
PATIENCE = 10  # seconds that a call waits for a thread

DISK = Threads("the disk", StoreError, most=MAX_THREADS, most_each=MAX_EACH, patience=PATIENCE)
"""The threads of this process."""

os.register_at_fork(after_in_child=DISK.begin_anew)
