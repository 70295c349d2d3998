"""Programs that fetch mail, one after another, from `pop3 serve`. known-bug/password-spaces: the
password has spaces.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from interop.conftest import OpenAccount
from interop.fetchers import FETCHERS, Fetcher
from interop.odd_messages import HEADER, MESSAGES, difference, on_the_wire

LETTERS = [HEADER + b"letter %d\n" % number for number in range(1, 4)]

each_fetcher = pytest.mark.parametrize("fetcher", FETCHERS, ids=lambda fetcher: fetcher.name)
each_that_remembers = pytest.mark.parametrize(
    "fetcher", [f for f in FETCHERS if f.remembers], ids=lambda fetcher: fetcher.name
)


def carried(fetcher: Fetcher) -> list[str]:
    return [name for name in MESSAGES if name not in fetcher.cannot]


Fetched: TypeAlias = Callable[[Fetcher], dict[str, bytes]]


@pytest.fixture(scope="module")
def fetched(open_account: OpenAccount, tmp_path_factory: pytest.TempPathFactory) -> Fetched:
    """A function that returns what a program got of all the odd messages, fetched at one go."""
    known: dict[str, dict[str, bytes]] = {}

    def fetch(fetcher: Fetcher) -> dict[str, bytes]:
        if fetcher.name not in known:
            names = carried(fetcher)
            account = open_account(*(MESSAGES[name] for name in names))
            got = fetcher.fetch(account, tmp_path_factory.mktemp("home"), delete=False)
            known[fetcher.name] = dict(zip(names, got, strict=True))
        return known[fetcher.name]

    return fetch


@pytest.mark.parametrize(
    ("fetcher", "name"),
    [
        pytest.param(fetcher, name, id=f"{fetcher.name}-{name}")
        for fetcher in FETCHERS
        for name in carried(fetcher)
    ],
)
def test_a_program_gets_a_message_octet_for_octet(
    fetched: Fetched, fetcher: Fetcher, name: str
) -> None:
    """implied/line-ends, rfc1939-s5/retr, known-bug/stored-crlf."""
    wanted = on_the_wire(MESSAGES[name]).replace(b"\r\n", fetcher.line_end)
    changed = fetcher.changes.get(name, bytes)(wanted)
    assert difference(fetched(fetcher)[name], wanted, changed) == ""


@each_fetcher
def test_fetched_and_deleted(fetcher: Fetcher, open_account: OpenAccount, tmp_path: Path) -> None:
    """rfc1939-s6/quit-removes-marked: messages fetched and deleted are gone from the Maildir."""
    account = open_account(*LETTERS)
    assert len(fetcher.fetch(account, tmp_path, delete=True)) == len(LETTERS)
    assert account.mail() == {}
    assert fetcher.fetch(account, tmp_path, delete=True) == []


@each_fetcher
def test_fetched_and_kept(fetcher: Fetcher, open_account: OpenAccount, tmp_path: Path) -> None:
    """Messages that are fetched and kept stay in the Maildir as they were."""
    account = open_account(*LETTERS)
    before = account.mail()
    assert len(fetcher.fetch(account, tmp_path, delete=False)) == len(LETTERS)
    assert account.mail() == before


@each_that_remembers
def test_second_poll_fetches_new_mail(
    fetcher: Fetcher, open_account: OpenAccount, tmp_path: Path
) -> None:
    """rfc1939-s7/unique-id, known-bug/unique-id-collision: a second poll fetches only new mail,
    even if old mail was flagged or moved.
    """
    account = open_account(*LETTERS)

    def poll() -> list[bytes]:
        return fetcher.fetch(account, tmp_path, delete=False)

    assert len(poll()) == len(LETTERS)
    assert poll() == []
    account.mark_all_as_seen()
    assert poll() == []
    account.deliver("9.test", HEADER + b"one more\n")
    assert [message.split()[-2:] for message in poll()] == [[b"one", b"more"]]
