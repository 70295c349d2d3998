"""The usage of a Maildir: from the quota file, and counted anew when that cannot be right."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from restante.quota import MailUsage, Quota
from restante.storage.errors import OverQuotaError, StoreError
from restante.storage.maildir import MaildirStore, quota, usage
from restante.storage.maildir.usage import LONGEST_TRUST, PAUSE, UsageCounter
from restante.storage.paths import Layout
from restante.storage.quota import StoredWithin
from storage.maildir.box import Box

MAIL = b"Subject: a\n\nhello\n"  # 18 octets
LIMIT = Quota(100)


def counting(box: Box, *, follow: bool = False, create: bool = False) -> list[float]:
    """Give the box a store on a clock of its own; return the clock's list of one time."""
    now = [0.0]
    counter = UsageCounter(follow, create, clock=lambda: now[0])
    box.store = MaildirStore(Layout(box.root), counter=counter)
    return now


def deliver(box: Box, quota: Quota = LIMIT, message: bytes = MAIL) -> StoredWithin:
    return asyncio.run(box.store.deliver_within("ann", message, quota))


def find(box: Box, *, recount: bool = False) -> MailUsage:
    return asyncio.run(box.store.find_usage("ann", LIMIT, recount=recount))[0]


def own_file(box: Box) -> Path:
    return box.folder / "restante.usage"


def age(file: Path) -> None:
    """Make a quota file older than the folders."""
    os.utime(file, (1, 1))


def test_sum(box: Box) -> None:
    """Each delivery adds a line to the server's own file, whose first lines are count and quota."""
    box.put("new/1.a,S=20")
    assert deliver(box).usage == MailUsage(38, 2)
    assert own_file(box).read_bytes() == b"100S\n20 1\n18 1\n"


def test_over_the_quota(box: Box) -> None:
    """Mail beyond the quota is rejected, and leaves nothing behind."""
    box.put("new/1.a,S=83")
    with pytest.raises(OverQuotaError) as rejected:
        deliver(box)
    assert str(box.folder) in str(rejected.value)
    assert box.names() == ["new/1.a,S=83"]
    assert os.listdir(box.folder / "tmp") == []


def test_messages(box: Box) -> None:
    """A quota of messages counts them."""
    box.put("cur/1.a:2,S")
    assert deliver(box, Quota(None, 2)).usage.messages == 2
    with pytest.raises(OverQuotaError):
        deliver(box, Quota(None, 2))


def test_subfolders_and_flags(box: Box) -> None:
    """Mail in subfolders counts, mail with the flag T and files beside it do not."""
    for folder in (".Sent", ".Junk"):
        (box.folder / folder / "cur").mkdir(parents=True)
    box.put(".Sent/cur/1.a:2,S")
    box.put(".Junk/cur/2.a,S=5:2,")
    box.put("cur/3.a:2,ST")
    box.put("cur/.hidden")
    box.put(".Sent/maildirfolder")
    assert find(box) == MailUsage(23, 2)


def test_removal_makes_room(box: Box) -> None:
    """After QUIT has removed mail, the sum is lower, and no count is needed."""
    box.put("new/1.a,S=83")
    with pytest.raises(OverQuotaError):
        deliver(box)

    async def remove() -> None:
        maildrop = await box.store.acquire("ann", 0)
        await maildrop.remove([0])
        maildrop.release()

    asyncio.run(remove())
    assert own_file(box).read_bytes() == b"100S\n83 1\n-83 -1\n"
    assert deliver(box).usage == MailUsage(18, 1)


def test_mail_of_other_programs(box: Box) -> None:
    """Mail that another program delivered or removed is counted before mail is rejected."""
    now = counting(box)
    deliver(box)
    removed = box.put("new/1.a,S=80")
    age(own_file(box))
    now[0] += PAUSE
    with pytest.raises(OverQuotaError):
        deliver(box, Quota(110))
    removed.unlink()
    assert deliver(box, Quota(110)).usage == MailUsage(36, 2)


def test_a_change_in_the_moment_of_the_sum(box: Box) -> None:
    """Mail is counted before it is rejected if another change has the very time of the sum."""
    counting(box)
    removed = box.put("new/1.a,S=80")
    assert deliver(box).usage == MailUsage(98, 2)
    removed.unlink()
    for place in (box.folder / "new", box.folder / "cur", own_file(box)):
        os.utime(place, (1, 1))
    assert deliver(box).usage == MailUsage(36, 2)


def test_a_look_a_minute(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """Far from the quota, the folders are counted once a minute at most."""
    now = counting(box)
    counts: list[int] = []
    count = usage.count

    def note_count(folder: int) -> MailUsage:
        counts.append(folder)
        return count(folder)

    monkeypatch.setattr(usage, "count", note_count)
    for seconds, expected in ((0, 1), (1, 1), (PAUSE - 1, 1), (PAUSE + 1, 2), (PAUSE + 2, 2)):
        now[0] = seconds
        deliver(box, Quota(10_000))
        assert len(counts) == expected
        box.put(f"cur/{seconds}.other")
        age(own_file(box))


def test_rejected_mail_costs_no_count(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much mail is rejected, nothing is counted as long as nothing changes."""
    counting(box)
    box.put("new/1.a,S=100")
    os.utime(box.folder / "new", (1, 1))
    os.utime(box.folder / "cur", (1, 1))
    with pytest.raises(OverQuotaError):
        deliver(box)
    monkeypatch.setattr(usage, "count", lambda _folder: pytest.fail("counted"))
    for _ in range(3):
        with pytest.raises(OverQuotaError):
            deliver(box)


def test_maildirsize_is_kept(box: Box) -> None:
    """Where there is a `maildirsize`, its sum counts, and its first line stays."""
    file = box.folder / "maildirsize"
    file.write_bytes(b"500S\n          36 2\n")
    assert deliver(box).usage == MailUsage(54, 3)
    assert file.read_bytes() == b"500S\n          36 2\n18 1\n"
    assert find(box, recount=True) == MailUsage(18, 1)
    assert file.read_bytes() == b"500S\n18 1\n"
    assert not own_file(box).exists()
    with pytest.raises(OverQuotaError):  # by the quota of the server
        deliver(box, Quota(20))


def test_maildirsize_is_followed(box: Box) -> None:
    """With `follow`, the first line of `maildirsize` is the quota."""
    counting(box, follow=True)
    (box.folder / "maildirsize").write_bytes(b"30S,9C\n0 0\n")
    assert deliver(box, Quota()).quota == Quota(30, 9)
    with pytest.raises(OverQuotaError):
        deliver(box, Quota())


def test_maildirsize_is_created(box: Box) -> None:
    """With `create`, the file is `maildirsize`, with the quota of the account."""
    counting(box, create=True)
    deliver(box, Quota(1000, 10))
    assert (box.folder / "maildirsize").read_bytes() == b"1000S,10C\n0 0\n18 1\n"


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"100S",
        b"100S\n",
        b"100S\nx\n",
        b"100S\n-5 1\n",
        b"100S\n\0\0\0\n",
        b"1S\n1 1\n" * 2000,
    ],
    ids=["empty", "cut", "no sum", "word", "negative", "NUL", "full"],
)  # fmt: skip
def test_invalid_file(box: Box, text: bytes) -> None:
    """A quota file that is cut, damaged or full is written anew."""
    box.put("new/1.a,S=20")
    own_file(box).write_bytes(text)
    assert deliver(box).usage == MailUsage(38, 2)
    assert own_file(box).read_bytes() == b"100S\n20 1\n18 1\n"


@pytest.mark.parametrize("cut", ["before its line", "within its line"])
def test_crash(box: Box, cut: str) -> None:
    """A crash between a message and its line is noticed by the time of the folder, and one within
    the line by its missing end.
    """
    counting(box)
    deliver(box)
    box.put("new/2.a,S=70")  # its line is lost
    age(own_file(box))
    counting(box)  # another process
    if cut == "within its line":
        own_file(box).write_bytes(b"100S\n18 1\n7")
    with pytest.raises(OverQuotaError):
        deliver(box)
    assert own_file(box).read_bytes() == b"100S\n88 2\n"


CALLS = ("open", "write", "rename", "fsync", "fstat", "pread", "scandir", "mkdir")


def test_fault_at_any_call(box: Box) -> None:
    """Whatever call of a delivery fails, the next sum is that of the messages that are there."""
    number, ended = 0, False
    while not ended:
        number += 1
        restart = counting(box)
        deliver(box, Quota(10_000))
        restart[0] += PAUSE  # so that the folders are examined
        with pytest.MonkeyPatch.context() as patch:
            made = [0]
            for name in CALLS:
                patch.setattr(os, name, failing(getattr(os, name), made, number))
            with contextlib.suppress(StoreError):
                deliver(box, Quota(10_000))
            ended = made[0] < number
        stored = len(box.names())
        assert find(box) == MailUsage(18 * stored, stored)
    assert number > 20


def failing(call: Callable[..., Any], made: list[int], number: int) -> Callable[..., Any]:
    """Return a function of the system that fails if it is the one with this number."""

    def fail_once(*arguments: Any, **options: Any) -> Any:
        made[0] += 1
        if made[0] == number:
            raise OSError(5, "Input/output error")
        return call(*arguments, **options)

    return fail_once


def test_unwritable_file(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the quota file cannot be written, each delivery counts, and mail still comes."""

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("restante.storage.maildir.usage.write_sum", fail)
    for number in range(1, 4):
        assert deliver(box).usage == MailUsage(18 * number, number)
    with pytest.raises(OverQuotaError):
        deliver(box, Quota(60))


def test_change_while_counting(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sum that may be wrong, because mail came meanwhile, is used once and not written."""
    count = usage.count
    (box.folder / "new" / "0.x,S=1").touch()

    def count_and_change(folder: int) -> MailUsage:
        found = count(folder)
        box.put(f"new/{time.monotonic_ns()}.b,S=1")
        os.utime(box.folder / "new", ns=(1, time.monotonic_ns()))
        return found

    monkeypatch.setattr(usage, "count", count_and_change)
    find(box)
    assert not own_file(box).exists()


def test_no_maildrop(box: Box) -> None:
    """A user without a Maildir has no mail, and none is made."""
    found = asyncio.run(box.store.find_usage("bob", LIMIT))
    assert found == (MailUsage(0, 0), LIMIT)
    assert not (box.root / "bob").exists()
    with pytest.raises(StoreError):
        asyncio.run(box.store.find_usage("../x", LIMIT))


def test_a_held_lock(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that stands still with the lock of deliveries delays a delivery, and ends none."""
    monkeypatch.setattr(usage, "PATIENCE", 0)
    held = os.open(box.folder, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert deliver(box).usage == MailUsage(18, 1)
    finally:
        os.close(held)


def test_concurrent_deliveries(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of deliveries at the same time, no more than fit are accepted."""
    monkeypatch.setattr(usage, "PATIENCE", 60)  # a busy machine lets each wait for long

    async def run() -> list[object]:
        work = (box.store.deliver_within("ann", MAIL, LIMIT) for _ in range(12))
        return await asyncio.gather(*work, return_exceptions=True)

    results = asyncio.run(run())
    assert sum(isinstance(each, StoredWithin) for each in results) == 5
    assert sum(isinstance(each, OverQuotaError) for each in results) == 7
    assert find(box) == MailUsage(90, 5)


def is_locked(box: Box) -> bool:
    """Return whether someone has the lock of deliveries."""
    folder = os.open(box.folder, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(folder)
    return False


def test_written_under_the_lock(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sum replaces the lines of other deliveries, so none of them is under way meanwhile."""
    locked: list[bool] = []
    write_sum = quota.write_sum

    def note_lock(*arguments: Any) -> None:
        locked.append(is_locked(box))
        write_sum(*arguments)

    monkeypatch.setattr(usage, "write_sum", note_lock)
    box.put("new/1.a,S=20")
    find(box)
    age(own_file(box))
    counting(box)
    deliver(box)  # counts before the lock
    own_file(box).unlink()
    with pytest.raises(OverQuotaError):
        deliver(box, Quota(1))
    assert locked == [True] * 3
    assert not is_locked(box)


def test_no_sum_beside_a_delivery(box: Box) -> None:
    """A count while another delivery has the lock is used once and not written."""
    box.put("new/1.a,S=20")
    held = os.open(box.folder, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert find(box) == MailUsage(20, 1)
        assert not own_file(box).exists()
    finally:
        os.close(held)


def test_a_disk_without_locks(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no folder can be locked, the sum is written all the same."""

    def fail(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", fail)
    assert deliver(box).usage == MailUsage(18, 1)
    assert find(box) == MailUsage(18, 1)
    assert own_file(box).exists()


def test_a_wrong_sum(box: Box) -> None:
    """A sum that is too high, though nothing is newer, rejects mail for a minute at most."""
    now = counting(box)
    deliver(box)
    with own_file(box).open("a") as file:
        file.write("80 1\n")  # a removal whose line was lost
    with pytest.raises(OverQuotaError):
        deliver(box)
    now[0] += PAUSE
    assert deliver(box).usage == MailUsage(36, 2)


def test_mail_between_own_deliveries(box: Box) -> None:
    """Mail of another program counts after a quarter of an hour, though own mail hides it."""
    now = counting(box)
    large = Quota(10_000)
    deliver(box, large)
    box.put("new/1.a,S=80")
    assert deliver(box, large).usage == MailUsage(36, 2)
    now[0] += LONGEST_TRUST
    assert deliver(box, large).usage == MailUsage(134, 4)
