"""An mbox as a destination."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import mailbox
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from fetch.destinations.contract import *  # noqa: F403
from fetch.destinations.contract import LETTER, OTHER, deliver, opened, prepare, settle
from restante.fetch.destinations.mbox.destination import MboxDestination
from restante.fetch.destinations.mbox.place import TRACE
from restante.fetch.interfaces import DestinationUnavailableError, Settled
from restante.fetch.spool import Spool
from restante.storage.mbox import MboxStore
from restante.storage.paths import Layout
from storage.contract import everything
from support.small_disks import fill, make_read_only, small_disk

TRACES = re.compile(rb"^" + TRACE + rb"[0-9a-f]{32}\r\n")


class MboxPlace:
    """An mbox in a folder of the test's own, read by the store."""

    exact = True

    def __init__(self, path: Path, spool: Path) -> None:
        self.path = path
        self._spool = spool

    def destination(self) -> MboxDestination:
        return MboxDestination(str(self.path), Spool(str(self._spool)), pause=lambda _: None)

    def messages(self) -> list[bytes]:
        if not self.path.exists() or not self.path.stat().st_size:
            return []
        found = asyncio.run(everything(MboxStore(Layout(self.path.parent)), self.path.name))
        on_wire = [re.sub(rb"(?<!\r)\n", b"\r\n", message) for message in found.values()]
        assert all(TRACES.match(message) for message in on_wire)
        return [TRACES.sub(b"", message) for message in on_wire]

    def remove_all(self) -> None:
        self.path.write_bytes(b"")

    def carries(self, message: bytes) -> bool:
        return True


@pytest.fixture
def place(tmp_path: Path) -> MboxPlace:
    return MboxPlace(tmp_path / "mail" / "ann", tmp_path / "spool")


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path) -> None:
    (tmp_path / "mail").mkdir()


def test_other_programs_read_it(place: MboxPlace) -> None:
    """Another reader of mboxes finds each message once, with its From-line quoted."""
    destination = opened(place)
    deliver(destination, LETTER, b"Subject: c\r\n\r\nFrom here\r\nno end", OTHER)
    destination.close()
    with contextlib.closing(mailbox.mbox(str(place.path))) as mbox:
        found = [bytes(message) for message in mbox]
    assert [b"Subject: %c" % letter in text for letter, text in zip(b"acb", found, strict=True)]
    assert b"\n>From here\nno end" in found[1]


def test_mail_goes_behind_what_is_there(place: MboxPlace) -> None:
    """Messages of other programs stay as they are, also without a last empty line."""
    others = b"From bob@example.com Fri Jul 14 02:40:00 2017\n\nby another\n"
    place.path.write_bytes(others)
    destination = opened(place)
    deliver(destination, LETTER)
    with place.path.open("ab") as file:
        file.write(others)
    deliver(destination, OTHER)
    destination.close()
    octets = place.path.read_bytes()
    assert octets.startswith(others + b"\nFrom ")
    assert octets.count(others) == 2
    with contextlib.closing(mailbox.mbox(str(place.path))) as mbox:
        assert len(mbox) == 4


def test_both_locks_are_held_from_the_journal_on(place: MboxPlace) -> None:
    """No program writes between the moment where the place is known, and the delivery."""
    destination = opened(place)
    [draft], _ = prepare(destination, LETTER)
    dotlock = place.path.with_name("ann.lock")
    assert dotlock.exists()
    other = place.destination()
    with pytest.raises(DestinationUnavailableError, match="another program holds the lock"):
        other.open()
    destination.deliver(draft)
    destination.sync()
    assert not dotlock.exists()
    destination.close()
    other.close()


def test_a_lock_is_waited_for(place: MboxPlace, tmp_path: Path) -> None:
    """Where another program has the lock for a moment, the delivery waits."""
    dotlock = place.path.with_name("ann.lock")
    dotlock.touch()
    spool = Spool(str(tmp_path / "spool"))
    waits: list[float] = []

    def pause(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            dotlock.unlink()

    destination = MboxDestination(str(place.path), spool, pause)
    destination.open()
    deliver(destination, LETTER)
    destination.close()
    assert len(waits) == 3
    assert place.messages() == [LETTER]


def test_the_wait_for_a_lock_ends(place: MboxPlace, tmp_path: Path) -> None:
    """The delivery waits at most 30 seconds for a lock."""
    place.path.with_name("ann.lock").touch()
    waits: list[float] = []
    destination = MboxDestination(str(place.path), Spool(str(tmp_path / "spool")), waits.append)
    with pytest.raises(DestinationUnavailableError, match="fetch again later"):
        destination.open()
    destination.close()
    assert sum(waits) == pytest.approx(30, abs=0.1)


def rewritten(octets: bytes) -> bytes:
    """Return an mbox as a mail program writes it anew: with a field more in each header."""
    return re.sub(rb"(?m)^(X-Restante-Mbox: .*\n)", rb"\1Status: RO\n", octets)


@pytest.mark.parametrize("in_place", [True, False])
def test_a_file_that_was_written_anew_is_searched(place: MboxPlace, in_place: bool) -> None:
    """Where a mail program has written the file anew, the trace field shows the message."""
    destination = opened(place)
    first, second = deliver(destination, OTHER * 1000, LETTER)
    destination.close()
    octets = rewritten(place.path.read_bytes())
    if not in_place:
        place.path.rename(place.path.with_name("old"))
    place.path.write_bytes(octets)
    assert settle(place, first) is settle(place, second) is Settled.HERE


def test_a_file_that_is_replaced_under_the_locks(place: MboxPlace) -> None:
    """A message that went into a file which another program replaced does not count as there."""
    destination = opened(place)
    [draft], [token] = prepare(destination, LETTER)
    replacement = place.path.with_name("replacement")
    replacement.touch()
    replacement.rename(place.path)
    destination.deliver(draft)
    with pytest.raises(DestinationUnavailableError, match="replaced"):
        destination.sync()
    destination.close()
    assert settle(place, token) is Settled.UNKNOWN
    assert place.messages() == []


def test_a_file_that_is_truncated_under_the_locks(place: MboxPlace) -> None:
    """A message that another program removed before the journal could have it is in doubt."""
    destination = opened(place)
    deliver(destination, OTHER)
    [draft], [token] = prepare(destination, LETTER)
    destination.deliver(draft)
    os.truncate(place.path, 0)
    with pytest.raises(DestinationUnavailableError, match="another program truncated"):
        destination.sync()
    destination.close()
    assert settle(place, token) is Settled.UNKNOWN
    assert place.messages() == []


@pytest.mark.parametrize("prepared", [False, True])
def test_a_folder_that_is_replaced_meanwhile(place: MboxPlace, *, prepared: bool) -> None:
    """A message that went into a folder which was replaced does not count as there."""
    destination = opened(place)
    drafts, tokens = prepare(destination, LETTER) if prepared else ([], [])
    place.path.parent.rename(place.path.parent.with_name("away"))
    place.path.parent.mkdir()
    for draft in drafts:
        destination.deliver(draft)
    with pytest.raises(DestinationUnavailableError, match=r"removed or replaced .* during the run"):
        if prepared:
            destination.sync()
        else:
            prepare(destination, LETTER)
    destination.close()
    assert [settle(place, token) for token in tokens] == [Settled.UNKNOWN] * len(tokens)
    assert place.messages() == []


def test_a_removed_message_is_in_doubt(place: MboxPlace) -> None:
    """Where another program removed the message with others, it is in doubt."""
    others = b"From bob@example.com Fri Jul 14 02:40:00 2017\n\nby another\n\n"
    place.path.write_bytes(others)
    destination = opened(place)
    first, second = deliver(destination, LETTER, OTHER)
    destination.close()
    place.path.rename(place.path.with_name("old"))
    place.path.write_bytes(others * 9)
    assert settle(place, second) is Settled.UNKNOWN
    assert settle(place, first) is Settled.UNKNOWN


def test_all_mail_is_taken_away_meanwhile(place: MboxPlace) -> None:
    """Where a mail program has taken all mail out of the file, a message is in doubt."""
    place.path.write_bytes(b"From bob@example.com Fri Jul 14 02:40:00 2017\n\nby another\n\n")
    [token] = deliver(destination := opened(place), LETTER)
    destination.close()
    os.truncate(place.path, 0)
    assert settle(place, token) is Settled.UNKNOWN


def test_half_a_message_is_not_taken_for_it(place: MboxPlace) -> None:
    """A message whose end is missing was not delivered, if another program wrote the file anew."""
    destination = opened(place)
    [token] = deliver(destination, LETTER)
    destination.close()
    octets = rewritten(place.path.read_bytes())
    place.path.write_bytes(octets[:-4])
    assert settle(place, token) is Settled.UNKNOWN


def test_a_torn_message_is_cut_off(place: MboxPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the process dies in the midst of writing, the part is cut off, and comes again."""

    class DiedError(BaseException):
        pass

    destination = opened(place)
    deliver(destination, OTHER)
    before = place.path.read_bytes()
    [draft], [token] = prepare(destination, LETTER)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", _raise(DiedError, after=2))
        patch.setattr(os, "ftruncate", _raise(DiedError, after=0))
        with pytest.raises(DiedError):
            destination.deliver(draft)
    destination.close()
    assert len(place.path.read_bytes()) > len(before)
    assert settle(place, token) is Settled.NOT_HERE
    assert place.path.read_bytes() == before


def _raise(error: type[BaseException], after: int) -> Callable[..., None]:
    """Return a call that does nothing a number of times, and then raises an error."""
    calls = itertools.count()

    def call(*_: object) -> None:
        if next(calls) >= after:
            raise error

    return call


def test_the_path_is_no_mbox(place: MboxPlace) -> None:
    """A file that is not an mbox, or a folder, stays as it is, and the error says so."""
    place.path.write_bytes(b"Dear Bob\n")
    with pytest.raises(DestinationUnavailableError, match="not an mbox"):
        opened(place)
    assert place.path.read_bytes() == b"Dear Bob\n"
    place.path.unlink()
    place.path.mkdir()
    with pytest.raises(DestinationUnavailableError, match="not a file"):
        opened(place)


def test_a_missing_folder_is_not_made(place: MboxPlace) -> None:
    """A missing folder may be a disk that is not mounted."""
    place.path.parent.rmdir()
    with pytest.raises(DestinationUnavailableError, match="mount its disk"):
        opened(place)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_root_gives_a_new_mbox_to_the_owner_of_its_folder(place: MboxPlace) -> None:
    """An mbox that root makes in the home of a user belongs to the user."""
    os.chown(place.path.parent, 4242, 4343)
    opened(place).close()
    assert (place.path.stat().st_uid, place.path.stat().st_gid) == (4242, 4343)


def test_a_full_disk(tmp_path: Path) -> None:
    """On a full disk the file is cut to what it was, and the next run delivers."""
    with small_disk(tmp_path / "disk") as disk:
        place = MboxPlace(disk / "ann", tmp_path / "spool")
        destination = opened(place)
        deliver(destination, OTHER)
        before = place.path.read_bytes()
        [draft], [token] = prepare(destination, b"x" * 100_000 + b"\r\n")
        fill(disk)
        with pytest.raises(DestinationUnavailableError, match="free some space"):
            destination.deliver(draft)
        destination.close()
        assert place.path.read_bytes() == before
        (disk / "filler").unlink()
        assert settle(place, token) is Settled.NOT_HERE


def test_a_read_only_disk(tmp_path: Path) -> None:
    """On a read-only disk the error says so, and what is there stays."""
    with small_disk(tmp_path / "disk") as disk:
        place = MboxPlace(disk / "ann", tmp_path / "spool")
        destination = opened(place)
        deliver(destination, OTHER)
        destination.close()
        make_read_only(disk)
        with pytest.raises(DestinationUnavailableError, match="mount the disk writable"):
            opened(place)
        assert place.messages() == [OTHER]
