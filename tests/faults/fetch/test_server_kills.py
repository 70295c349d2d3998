"""The promise of `pop3 fetch` held while the server of a destination is killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from faults.fetch.matrix import Row
from faults.fetch.server_kills import Kills, Point, killed_server
from restante import testing
from support.programs import need

WITHIN = 40_000  # octets: in the middle of the longest letter


@pytest.mark.parametrize(("protocol", "most_doubles"), [("imap", 0), ("lmtp", 1)])
def test_a_killed_server_loses_nothing(tmp_path: Path, protocol: str, most_doubles: int) -> None:
    """If the server is killed within a message, or before its reply to one, no message is lost."""
    need("dovecot")
    need(f"/usr/lib/dovecot/{protocol}")
    need("/usr/lib/dovecot/imap")
    row = Row("pop3 fetch", protocol)
    with testing.serving() as source, killed_server(protocol) as server:
        kills = Kills(source, server, tmp_path / "program")
        kills.kill(Point(WITHIN), row)
        kills.kill(Point(WITHIN, at_reply=True), row)
    assert row.stories == []
    assert (row.kills, row.lost, row.damaged, row.left) == (2, 0, 0, 0)
    assert row.most_doubles <= most_doubles
