"""Programs that fetch mail, one after another, from `pop3 serve`. known-bug/password-spaces: the
password has spaces.
"""

from __future__ import annotations

from pathlib import Path

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


@pytest.fixture(scope="module")
def fetched(
    request: pytest.FixtureRequest,
    open_account: OpenAccount,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, bytes]:
    """What a program got of all the odd messages it can carry, fetched at one go."""
    fetcher: Fetcher = request.param
    names = carried(fetcher)
    account = open_account(*(MESSAGES[name] for name in names))
    got = fetcher.fetch(account, tmp_path_factory.mktemp("home"), delete=False)
    return dict(zip(names, got, strict=True))


@pytest.mark.parametrize(
    ("fetched", "fetcher", "name"),
    [
        pytest.param(fetcher, fetcher, name, id=f"{fetcher.name}-{name}")
        for fetcher in FETCHERS
        for name in carried(fetcher)
    ],
    indirect=["fetched"],
)
def test_a_program_gets_a_message_octet_for_octet(
    fetched: dict[str, bytes], fetcher: Fetcher, name: str
) -> None:
    """implied/line-ends, rfc1939-s5/retr, known-bug/stored-crlf."""
    wanted = on_the_wire(MESSAGES[name]).replace(b"\r\n", fetcher.line_end)
    changed = fetcher.changes.get(name, bytes)(wanted)
    assert difference(fetched[name], wanted, changed) == ""


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
