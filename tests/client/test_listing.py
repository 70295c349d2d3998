"""The listing of a maildrop, and the faults of servers in it."""

from __future__ import annotations

import pytest

from restante.client import blocking
from restante.client.listing import omitted_by_list
from restante.client.messages import SizeWarning
from restante.protocol.client import operations
from restante.protocol.client.connection import ServerPeer
from restante.protocol.errors import ServerRefusedError
from support.faulty_server import HELLO, PASSWORD, USER, faulty_server


@pytest.mark.parametrize(
    ("listed", "missing"),
    [
        (range(1, 4), ""),
        (range(2, 4), "1"),
        (range(11, 13), "1, 2, 3, 4, 5, 6, 7, 8, 9, 10"),
        (range(13, 15), "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, ..."),
    ],
)
def test_omitted_messages(listed: range, missing: str) -> None:
    """The first ten messages that only UIDL has are named."""
    uids = {number: f"uid{number}" for number in range(1, listed.stop)}
    expected = f"UIDL has messages that LIST omits: {missing}" if missing else ""
    assert omitted_by_list(dict.fromkeys(listed, 1), uids) == expected


def test_messages_that_uidl_omits() -> None:
    """Messages that only LIST has are another fault."""
    assert not omitted_by_list({1: 5, 2: 5}, {1: "a"})


@pytest.mark.parametrize(
    ("rules", "oddities", "messages"),
    [
        (("LIST: without 2",), {"list-missing"}, 1),
        (
            ("LIST: -ERR no messages", "STAT: +OK 0 0", "UIDL: -ERR no messages"),
            {"list-empty"},
            0,
        ),
        (("UIDL: -ERR unknown command",), set(), 2),
    ],
)
def test_listing(rules: tuple[str, ...], oddities: set[str], messages: int) -> None:
    """A listing with a fault shows the messages that LIST has, and keeps the fault in words."""
    with (
        faulty_server(*rules) as server,
        blocking.connect(f"pop3://{USER}@127.0.0.1:{server.port}", PASSWORD) as drop,
    ):
        assert (set(drop.session.oddities), len(drop)) == (oddities, messages)


@pytest.mark.parametrize(
    "rules",
    [
        ("LIST: -ERR no messages",),
        ("LIST: -ERR broken", "STAT: -ERR broken"),
        ("LIST: -ERR broken", "STAT: close"),
    ],
)
def test_refused_list(rules: tuple[str, ...]) -> None:
    """A LIST that is refused is an error if STAT counts messages, or fails, too."""
    with (
        faulty_server(*rules) as server,
        pytest.raises(ServerRefusedError),
        blocking.connect(f"pop3://{USER}@127.0.0.1:{server.port}", PASSWORD),
    ):
        pass


def test_list_refused_with_a_code() -> None:
    """A LIST that is refused with a code is the cause, and no STAT is sent after it."""
    with (
        faulty_server("LIST: -ERR [SYS/TEMP] no mailbox") as server,
        pytest.raises(ServerRefusedError) as caught,
        blocking.connect(f"pop3://{USER}@127.0.0.1:{server.port}", PASSWORD),
    ):
        pass
    assert (caught.value.id, caught.value.command) == ("sys-temp", "LIST")
    assert "STAT" not in server.commands


def test_no_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message without a size may be larger than any wrong count explains."""
    monkeypatch.setattr(operations, "FLOOD", 10)
    with (
        faulty_server("LIST: with 1 -1") as server,
        blocking.connect(server.url, PASSWORD) as drop,
        pytest.warns(SizeWarning, match=f"has {len(HELLO)} octets, but LIST gives no size"),
    ):
        assert (drop[1].size, drop[1].read()) == (0, HELLO)


def test_many_odd_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many odd lines the first alone is made fit to be shown, which costs most of the time."""
    excerpts: list[bytes] = []
    excerpt = ServerPeer.excerpt

    def count(peer: ServerPeer, octets: bytes, limit: int = 100) -> str:
        excerpts.append(octets)
        return excerpt(peer, octets, limit)

    monkeypatch.setattr(ServerPeer, "excerpt", count)
    with (
        faulty_server("list-blanks", messages=[HELLO] * 50) as server,
        blocking.connect(server.url, PASSWORD) as drop,
    ):
        assert (len(drop), list(drop.session.oddities)) == (50, ["odd-list"])
    assert [octets for octets in excerpts if octets] == [b"1   %d" % len(HELLO)]
