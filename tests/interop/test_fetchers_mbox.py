"""Programs that fetch mail from `pop3 serve` with the mail in mboxes."""

from __future__ import annotations

import asyncio
import itertools
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from interop.account import Account
from interop.conftest import PASSWORD
from interop.fetchers import FETCHERS, Fetcher
from interop.odd_messages import HEADER, MESSAGES, difference, on_the_wire
from restante.storage.mbox import MboxStore
from restante.storage.paths import Layout
from support.process import POP3, Served, serving

FROM = b"From ann@example.com Tue Nov 24 22:00:46 2026\n"
LETTERS = [HEADER + b"letter %d\n" % number for number in range(1, 4)]

each_fetcher = pytest.mark.parametrize("fetcher", FETCHERS, ids=lambda fetcher: fetcher.name)
numbers = itertools.count(1)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("server"), "--format", "mbox") as served:
        yield served
        assert served.stop() == 0
        assert "level=error" not in served.log.read_text()


def account(served: Served) -> Account:
    """Return a new account; its `maildir` is the mbox."""
    user = f"user{next(numbers)}"
    command: list[str | Path] = [POP3, "user", "add", user, "--password-stdin"]
    command += ["--users", served.users]
    subprocess.run(command, input=PASSWORD.encode() + b"\n", check=True, capture_output=True)
    return Account(served.port, user, PASSWORD, served.mail / user)


def deliver(served: Served, user: str, *messages: bytes) -> None:
    async def all_of_them() -> None:
        store = MboxStore(Layout(served.mail))
        for message in messages:
            await store.deliver(user, message)

    asyncio.run(all_of_them())


@each_fetcher
def test_a_program_gets_every_message_octet_for_octet(
    fetcher: Fetcher, served: Served, tmp_path: Path
) -> None:
    """implied/line-ends, rfc1939-s5/retr."""
    known = account(served)
    names = [name for name in MESSAGES if name not in fetcher.cannot]
    deliver(served, known.user, *(MESSAGES[name] for name in names))
    got = fetcher.fetch(known, tmp_path, delete=False)
    for name, message in zip(names, got, strict=True):
        wanted = on_the_wire(MESSAGES[name]).replace(b"\r\n", fetcher.line_end)
        changed = fetcher.changes.get(name, bytes)(wanted)
        assert difference(message, wanted, changed) == "", name


@each_fetcher
def test_fetched_and_deleted(fetcher: Fetcher, served: Served, tmp_path: Path) -> None:
    """rfc1939-s6/quit-removes-marked: messages fetched and deleted are gone from the mbox."""
    known = account(served)
    known.maildir.write_bytes(b"".join(FROM + letter + b"\n" for letter in LETTERS))
    assert len(fetcher.fetch(known, tmp_path, delete=True)) == len(LETTERS)
    assert known.maildir.read_bytes() == b""
    assert fetcher.fetch(known, tmp_path, delete=True) == []
