"""Room for a message by the removal of the oldest ones."""

from __future__ import annotations

import asyncio
import os
import stat
import threading
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.testing import CapturingLogger

from restante.delivery import replies
from restante.delivery.deliverer import Deliverer
from restante.delivery.quota import QuotaDelivery
from restante.delivery.replies import DeliveryReply
from restante.delivery.trace_headers import Envelope
from restante.junk import junk_of
from restante.quota import Quota
from restante.storage.errors import BusyError
from restante.storage.maildir import MaildirStore
from restante.storage.mbox import MboxStore
from restante.storage.paths import Layout
from restante.storage.quota import KeepsQuota
from support.thread import PATIENCE


class Office:
    """Deliveries to Ann, whose oldest messages go first."""

    def __init__(self, store: KeepsQuota, quota: Quota) -> None:
        self.lines = CapturingLogger()
        log: Any = structlog.wrap_logger(self.lines, processors=[])
        quotas = QuotaDelivery(
            store=store,
            accounts=Any,  # type: ignore[arg-type]
            log=log,
            default=quota,
            policy="remove-oldest",
        )
        self.store = store
        self.deliverer = Deliverer(store=store, recipients=Any, log=log, quotas=quotas)  # type: ignore[arg-type]

    def deliver(self, message: bytes, owner: str = "ann") -> DeliveryReply:
        envelope = Envelope(sender="", recipient="ann")
        return asyncio.run(self.deliverer.deliver(owner, message, envelope, "lmtp"))

    def uids(self, owner: str = "ann") -> list[str]:
        async def read() -> list[str]:
            maildrop = await self.store.acquire(owner, 0)
            maildrop.release()
            return list(maildrop.contents.uids)

        return asyncio.run(read())

    @property
    def removed(self) -> list[dict[str, object]]:
        """The events `message_removed`, without their name."""
        calls = [dict(call.kwargs) for call in self.lines.calls]
        return [one for one in calls if one.pop("event") == "message_removed"]


def put(folder: Path, name: str, day: int, octets: int = 100) -> None:
    """Put a message into Ann's Maildir that came on a day of 1970."""
    for part in ("tmp", "new", "cur"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    file = folder / "new" / name
    file.write_bytes(b"x\n" * (octets // 2))
    os.utime(file, (86_400 * day, 86_400 * day))


def test_oldest_goes_first(tmp_path: Path) -> None:
    """As many of the oldest messages go as the new one needs, each with an event."""
    put(tmp_path / "ann", "3.young", 30)
    put(tmp_path / "ann", "2.old", 20)
    put(tmp_path / "ann", "1.late", 40)  # its name is old, and its file is not
    office = Office(MaildirStore(Layout(tmp_path)), Quota(None, 3))
    assert office.deliver(b"new") is replies.DELIVERED
    assert office.uids()[:2] == ["1.late", "3.young"]
    (event,) = office.removed
    age = event.pop("age")
    assert event == {"user": "ann", "by": "quota", "uid": "2.old", "octets": 150}
    assert isinstance(age, int)
    assert age > 20_000 * 86_400


def test_octets(tmp_path: Path) -> None:
    """Room is made in octets as stored, although sizes on the wire are larger."""
    for number in range(1, 10):
        put(tmp_path / "ann", f"{number}.a", number)
    office = Office(MaildirStore(Layout(tmp_path)), Quota(900))
    assert office.deliver(b"x\n" * 200) is replies.DELIVERED
    assert [event["uid"] for event in office.removed] == ["1.a", "2.a", "3.a", "4.a", "5.a"]


def test_no_room_to_be_made(tmp_path: Path) -> None:
    """For a message that is larger than the quota, nothing is removed."""
    put(tmp_path / "ann", "1.a", 1)
    office = Office(MaildirStore(Layout(tmp_path)), Quota(200))
    assert office.deliver(b"x" * 1000) is replies.OVER_QUOTA
    assert office.uids() == ["1.a"]


def test_held_maildrop(tmp_path: Path) -> None:
    """While a session has the maildrop, nothing is removed, and the message waits."""
    put(tmp_path / "ann", "1.a", 1)
    office = Office(MaildirStore(Layout(tmp_path)), Quota(None, 1))

    async def run() -> DeliveryReply:
        session = await office.store.acquire("ann", 0)
        envelope = Envelope(sender="", recipient="ann")
        try:
            return await office.deliverer.deliver("ann", b"new", envelope, "lmtp")
        finally:
            session.release()

    assert asyncio.run(run()) is replies.BUSY
    assert office.uids() == ["1.a"]


def test_failed_removal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the removal fails, nothing is reported as removed, and the message waits."""
    put(tmp_path / "ann", "1.a", 1)
    office = Office(MaildirStore(Layout(tmp_path)), Quota(None, 1))

    def fail(*_: object, **__: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("restante.storage.maildir.removal.os.unlink", fail)
    assert office.deliver(b"new") is replies.STORE_FAILED
    assert office.removed == []
    assert office.uids() == ["1.a"]


def test_delivery_given_up_during_removal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A removal that outlives its delivery keeps the maildrop until its end, and is logged."""
    put(tmp_path / "ann", "1.a", 1)
    office = Office(MaildirStore(Layout(tmp_path)), Quota(None, 1))
    begun, go_on = threading.Event(), threading.Event()
    real = os.unlink

    def unlink(*args: Any, **kwargs: Any) -> None:
        begun.set()
        go_on.wait(PATIENCE)
        real(*args, **kwargs)

    async def run() -> None:
        delivery = asyncio.create_task(
            office.deliverer.deliver("ann", b"new", Envelope("", "ann"), "lmtp")
        )
        await asyncio.to_thread(begun.wait, PATIENCE)
        delivery.cancel()
        await asyncio.wait([delivery])
        with pytest.raises(BusyError):
            await office.store.acquire("ann", 0)
        go_on.set()
        (await office.store.acquire("ann", PATIENCE)).release()

    monkeypatch.setattr("restante.storage.maildir.removal.os.unlink", unlink)
    asyncio.run(run())
    assert [event["uid"] for event in office.removed] == ["1.a"]


def test_unsynced_removal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A removal without a sync has its event, and the message waits."""
    put(tmp_path / "ann", "1.a", 1)
    office = Office(MaildirStore(Layout(tmp_path)), Quota(None, 1))
    real = os.fsync

    def fail(file: int) -> None:
        if stat.S_ISDIR(os.fstat(file).st_mode):
            raise OSError(5, "Input/output error")
        real(file)

    monkeypatch.setattr(os, "fsync", fail)
    assert office.deliver(b"new") is replies.STORE_FAILED
    assert [(event["uid"], event["durable"]) for event in office.removed] == [("1.a", "no")]


@pytest.mark.parametrize("room", [1, 2])
def test_spam_goes_before_other_mail(tmp_path: Path, room: int) -> None:
    """Spam of the same quota goes first, so that its senders cannot displace other mail."""
    put(tmp_path / "ann", "1.old", 1)
    put(tmp_path / "ann" / ".Junk", "2.spam", 20)
    put(tmp_path / "ann" / ".Junk", "3.spam", 30)
    office = Office(MaildirStore(Layout(tmp_path, junk="{user}/.Junk")), Quota(None, 4 - room))
    assert office.deliver(b"new") is replies.DELIVERED
    assert office.uids()[:-1] == ["1.old"]
    assert office.uids(junk_of("ann")) == ["2.spam", "3.spam"][room:]
    assert [(event["uid"], event.get("maildrop")) for event in office.removed] == [
        ("2.spam", "junk"),
        ("3.spam", "junk"),
    ][:room]


def test_spam_removes_spam_only(tmp_path: Path) -> None:
    """New spam makes room in the spam folder alone, and else it waits."""
    put(tmp_path / "ann", "1.old", 1)
    put(tmp_path / "ann" / ".Junk", "2.spam", 20)
    office = Office(MaildirStore(Layout(tmp_path, junk="{user}/.Junk")), Quota(None, 2))
    assert office.deliver(b"new", junk_of("ann")) is replies.DELIVERED
    assert [event["uid"] for event in office.removed] == ["2.spam"]
    assert office.uids() == ["1.old"]
    office = Office(MaildirStore(Layout(tmp_path, junk="{user}/.Junk")), Quota(None, 1))
    assert office.deliver(b"new", junk_of("ann")) is replies.OVER_QUOTA
    assert office.uids() == ["1.old"]


def test_mbox(tmp_path: Path) -> None:
    """In an mbox, the first messages go."""
    store = MboxStore(Layout(tmp_path))
    office = Office(store, Quota(None, 2))
    for text in (b"a\n", b"b\n", b"c\n"):
        assert office.deliver(text) is replies.DELIVERED
    mail = (tmp_path / "ann").read_bytes()
    assert b"\na\n" not in mail
    assert b"\nc\n" in mail
    assert len(office.removed) == 1
