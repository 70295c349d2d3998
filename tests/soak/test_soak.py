"""A few hundred clients of all kinds for half a minute; `make soak` has thousands for minutes.

rfc1939-s6/only-quit-removes, rfc1939-s6/quit-unlocks, implied/broken-connection,
known-bug/two-sessions.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from restante.storage.maildir.lock import try_lock
from soak import mail
from soak.soaking import Soak, soaking
from soak.watch import MIB

CLIENTS = 300
WAVES = 3
SECONDS = 5
GROWTH = 24 * MIB  # of what is kept when all have left, from the second wave to the last


@pytest.fixture(scope="module")
def soaked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Soak]:
    """A server after waves of clients, in each of which a process of them is killed."""
    with soaking(tmp_path_factory.mktemp("soak"), CLIENTS, hold=2, patience=3) as soak:
        for _ in range(WAVES):
            soak.wave(SECONDS, kills=1)
        yield soak


def test_soak_loses_nothing(soaked: Soak) -> None:
    """No message is lost or changed, and no removed one returns."""
    account = soaked.account()
    assert sum(map(len, account.removed.values())) > 0
    assert list(account.wrongs(soaked.served.mail)) == []


def test_every_client_heard_what_it_should(soaked: Soak) -> None:
    """Every client got the replies that it should."""
    assert soaked.account().problems == []


def test_every_maildrop_can_be_locked_at_once(soaked: Soak) -> None:
    """After the soak every maildrop is unlocked."""
    maildirs = list(soaked.served.mail.iterdir())
    assert len(maildirs) == CLIENTS
    assert mail.locked(maildirs) == []


def test_no_descriptor_is_left_open(soaked: Soak) -> None:
    """No descriptor is left open after a wave."""
    assert [wave.descriptors for wave in soaked.rested] == [soaked.before.descriptors] * WAVES


def test_what_is_kept_when_all_have_left_does_not_grow(soaked: Soak) -> None:
    """The memory at rest does not grow."""
    assert soaked.rested[-1].resident - soaked.rested[1].resident < GROWTH


def test_there_is_no_incident(soaked: Soak) -> None:
    """No incident is in the log."""
    assert "incident" not in soaked.served.log.read_text()


def test_a_loss_a_change_and_a_lock_are_noticed(tmp_path: Path) -> None:
    """The audit notices a lost message, a changed one, and a lock that remains."""
    maildir = tmp_path / "mail" / "ann"
    for part in ("tmp", "new", "cur"):
        (maildir / part).mkdir(parents=True)
    names = [mail.deliver(maildir, lines=3) for _ in range(4)]
    ledger = mail.Ledger(tmp_path / "1.ledger")
    ledger.note("delivered", "ann", *names)
    ledger.note("asked", "ann", *names[1:3])
    ledger.note("removed", "ann", names[2])
    for name in names[:2]:
        (maildir / "new" / name).unlink()
    (maildir / "new" / names[3]).write_bytes(b"other octets\n")
    wrongs = list(mail.Account.read(tmp_path).wrongs(tmp_path / "mail"))
    assert wrongs == [
        f"ann lost {names[0]}",
        f"ann still has {names[2]}, whose removal was confirmed",
        f"ann has {names[3]} changed",
    ]
    assert mail.locked([maildir]) == []
    root = os.open(maildir, os.O_RDONLY)
    lock = try_lock(root)
    assert lock is not None
    assert mail.locked([maildir]) == ["ann"]
    os.close(lock)
    os.close(root)
