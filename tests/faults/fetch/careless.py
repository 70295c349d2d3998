"""Fetches as programs do that keep a list of unique-ids: it is written when all is delivered.

`python -m faults.fetch.careless ACCOUNT PASSWORD MAILDIR LIST`
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from restante import blocking


def main(account: str, password: str, maildir: str, noted: str) -> None:
    """Deliver what is not in the list, write the list, and delete."""
    known = Path(noted).read_text().split() if Path(noted).exists() else []
    with blocking.connect(account, password=password) as drop:
        for message in drop:
            if message.uid not in known:
                temporary = Path(maildir, "tmp", f"{message.uid}")
                temporary.write_bytes(message.read())
                temporary.rename(Path(maildir, "new", f"{message.uid}.{time.time_ns()}"))
        Path(noted).write_text(" ".join(str(message.uid) for message in drop))
        for message in drop:
            drop.delete(message)
        drop.commit()


if __name__ == "__main__":
    main(*sys.argv[1:])
