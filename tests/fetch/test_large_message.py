"""A message that is larger than the memory, on its whole way. The contract tests destinations."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

from restante import blocking
from restante.fetch.destinations.maildir import MaildirDestination
from restante.fetch.events import MessageDelivered
from restante.fetch.fetcher import Fetcher
from restante.fetch.journal import Journal
from restante.fetch.planner import Policy
from support import large_mail

PIECES = 1024  # 64 MB
MOST = 4 * 1024 * 1024  # octets of memory


def test_memory_of_a_large_message(tmp_path: Path) -> None:
    """A message of 64 MB takes 4 MiB of memory at most from the server into a Maildir."""
    destination = MaildirDestination(f"{tmp_path}/mail")
    with large_mail.serving(PIECES) as port, Journal(tmp_path / "fetch.db") as journal:
        account = f"pop3://ann@127.0.0.1:{port}"
        ann = journal.open_account("ann")
        fetcher = Fetcher(ann, [destination], lambda _: blocking.connect(account, "pw"), Policy())
        tracemalloc.start()
        try:
            events = list(fetcher.run())
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    [delivered] = [event for event in events if isinstance(event, MessageDelivered)]
    [file] = (tmp_path / "mail/new").iterdir()
    assert delivered.octets == large_mail.octets(PIECES)
    assert file.stat().st_size == delivered.octets - PIECES * 800 - large_mail.HEAD.count(b"\r\n")
    assert peak < MOST
