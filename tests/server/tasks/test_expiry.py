"""The server's own removal of old mail, hour by hour: nothing may end it but the server."""

from __future__ import annotations

import asyncio
import functools
import io
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from typing import Any

import pytest
from structlog.typing import FilteringBoundLogger

from restante.auth.interfaces import UnavailableError
from restante.junk import junk_of
from restante.server.context import ServerContext
from restante.server.log import event_log
from restante.server.log.removal_log import PIECE
from restante.server.tasks.background import background_tasks
from restante.server.tasks.expiry import MailExpiry
from restante.server.tasks.steady_clock import AFTER_BOOT
from restante.storage.age_limit import DAY
from restante.storage.errors import BusyError, PartlyExpiredError, StoreError
from restante.storage.interfaces import ExpiredMessage
from restante.storage.memory import MemoryStore
from support.passwords import Passwords
from support.rounds import Clocks, run_until

OLD = ExpiredMessage("1.old", 9, 12)
NAMES = ("ann", "bob", "cy")


class Accounts:
    """Ann, Bob and Cy, once they can be asked for."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)

    can_list = True

    async def list_accounts(self) -> AsyncIterator[Sequence[tuple[str, int | None]]]:
        if self.errors:
            raise self.errors.pop(0)
        yield [("ann", None), ("bob", None)]
        yield [("cy", None)]


class Mail:
    """A store in which something happens in Bob's maildrop, and every other has old mail."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.asked: list[str] = []

    async def expire(
        self, owner: str, days: int, *, now: float | None = None, dry_run: bool = False
    ) -> list[ExpiredMessage]:
        self.asked.append(owner)
        if owner == "bob" and self.error:
            raise self.error
        return [OLD]


def held(
    mail: Mail,
    until: Callable[[str], bool],
    accounts: Accounts | None = None,
    *,
    junk: bool = False,
    pause: float = 0.01,
    clocks: Clocks | None = None,
) -> tuple[MailExpiry, str]:
    """Let it run until the log satisfies; return it, and what it logged."""
    made: list[MailExpiry] = []

    def make(log: FilteringBoundLogger) -> Coroutine[Any, Any, None]:
        made.append(MailExpiry(mail, accounts or Accounts(), 7, log, junk=junk, pause=pause))
        return made[0].run((clocks or Clocks()).steady(log))

    lines = run_until(make, until)
    return made[0], lines


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (BusyError("a session"), 'level=info event=not_expired user=bob reason="a session"'),
        (
            StoreError("no way in", path="/srv/mail/bob"),
            'level=warning event=not_expired user=bob reason="no way in: /srv/mail/bob"',
        ),
        (RuntimeError("a detail"), "level=error event=incident user=bob"),
    ],
)
def test_expiry_continues_after_error(error: Exception, line: str) -> None:
    """known-bug/exception-text: an error in one maildrop is logged, and the others are still
    expired.
    """
    made, log = held(Mail(error), lambda log: "user=cy" in log, pause=3600)
    assert line in log
    assert "event=expired user=ann messages=1 octets=12" in log
    assert made.complete is isinstance(error, BusyError)


def test_what_went_before_a_removal_failed_is_told_too() -> None:
    """If a removal fails half way, the log counts the messages that were removed."""
    error = PartlyExpiredError("in part", [OLD, OLD])
    made, log = held(Mail(error), lambda log: "user=cy" in log, pause=3600)
    assert 'level=warning event=not_expired user=bob reason="in part"' in log
    assert "event=expired user=bob messages=2 octets=24" in log
    assert not made.complete


@pytest.mark.parametrize(
    ("error", "line"),
    [(RuntimeError("a detail"), "a detail"), (UnavailableError("no file"), "event=trouble")],
)
def test_failed_round_is_logged(error: Exception, line: str) -> None:
    """known-bug/exception-text: a round that fails is logged, and the next one follows."""
    made, log = held(Mail(), lambda log: "user=cy" in log, Accounts(error))
    assert line in log
    assert made.complete


class SharedMail(Mail):
    """A store of several nodes: it knows that only Bob has old mail, and grants some rounds."""

    def __init__(self, *claims: bool | Exception) -> None:
        super().__init__()
        self.claims = list(claims)

    async def find_expired(self, days: Mapping[str, int]) -> AsyncIterator[Sequence[str]]:
        yield [name for name in days if name == "bob"]

    async def claim_round(self, task: str, seconds: float) -> bool:
        assert task == "expire"
        assert seconds == pytest.approx(0.009)
        claim = self.claims.pop(0) if len(self.claims) > 1 else self.claims[0]
        if isinstance(claim, Exception):
            raise claim
        return claim


def test_only_maildrops_with_old_mail() -> None:
    """A store that knows which maildrops have old mail opens only those."""
    mail = SharedMail(True)
    held(mail, lambda log: "user=bob" in log)
    assert set(mail.asked) == {"bob"}


class PartlyDownMail(SharedMail):
    """A store of two databases, of which one fails."""

    async def find_expired(self, days: Mapping[str, int]) -> AsyncIterator[Sequence[str]]:
        yield list(days)
        raise StoreError("second: no answer")


def test_mail_beside_a_broken_database() -> None:
    """Old mail is removed where it can be found, and the problem is logged once a round."""
    made, log = held(PartlyDownMail(True, False), lambda log: "user=cy" in log)
    assert "event=expired user=ann" in log
    assert log.count('event=trouble error="second: no answer" code=SYS/TEMP') == 1
    assert not made.complete


def test_round_of_another_node() -> None:
    """A node does the rounds that it can claim, and no other."""
    mail = SharedMail(StoreError("no database"), False, False, True)
    _, log = held(mail, lambda log: "user=bob" in log)
    assert 'event=trouble error="no database" code=SYS/TEMP' in log
    assert len(mail.claims) == 1


def test_junk_maildrops() -> None:
    """The mail in junk maildrops expires, too, and the log says where it was."""
    mail = Mail()
    _, log = held(mail, lambda log: log.count("user=cy maildrop=junk by=expiry") > 0, junk=True)
    assert set(mail.asked) == {*NAMES, *map(junk_of, NAMES)}
    assert "event=expired user=ann maildrop=junk messages=1 octets=12" in log


def test_hung_maildrop_keeps_no_other_from_its_turn() -> None:
    """A disk that hangs ends the turn of its maildrop, and the others still expire."""

    class HungMail(Mail):
        async def expire(
            self, owner: str, days: int, *, now: float | None = None, dry_run: bool = False
        ) -> list[ExpiredMessage]:
            if owner == "bob":
                await asyncio.Event().wait()
            return await super().expire(owner, days, now=now, dry_run=dry_run)

    log, writer = event_log.configure_log("text", lines := io.StringIO())
    made = MailExpiry(HungMail(), Accounts(), 7, log, longest=0.01)

    async def run() -> list[str]:
        return [user async for user, _ in made.expire_all(dry_run=False)]

    assert asyncio.run(run()) == ["ann", "cy"]
    writer.close()
    line = 'user=bob reason="the disk did not respond within 0.01 seconds"'
    assert f"level=warning event=not_expired {line}" in lines.getvalue()
    assert not made.complete


def test_clock_that_jumps() -> None:
    """A clock that jumps in a round ends it: the other maildrops expire a steady day later."""
    clocks = Clocks()

    class ClockedMail(Mail):
        async def expire(
            self, owner: str, days: int, *, now: float | None = None, dry_run: bool = False
        ) -> list[ExpiredMessage]:
            times.append((owner, clocks.paused))
            if owner == "ann" and len(times) == 1:
                clocks.set += 90 * DAY
            return await super().expire(owner, days, now=now, dry_run=dry_run)

    times: list[tuple[str, float]] = []
    _, log = held(ClockedMail(), lambda log: "user=cy" in log, clocks=clocks)
    assert times[:3] == [("ann", AFTER_BOOT), ("ann", AFTER_BOOT + DAY), ("bob", AFTER_BOOT + DAY)]
    assert log.count("event=clock_jumped seconds=7776000") == 1


def test_clock_that_jumps_before_the_disk_answers() -> None:
    """Ages count by the time that was checked, not by a clock that jumps right after the check."""
    clocks = Clocks()
    times: list[float | None] = []

    class LateMail(Mail):
        async def expire(
            self, owner: str, days: int, *, now: float | None = None, dry_run: bool = False
        ) -> list[ExpiredMessage]:
            clocks.set += 90 * DAY
            times.append(now)
            return await super().expire(owner, days, now=now, dry_run=dry_run)

    begun = clocks.wall()
    held(LateMail(), lambda log: "user=ann" in log, clocks=clocks)
    assert times[0] == begun + AFTER_BOOT


class SlowMail(Mail):
    """A store that removes Bob's old mail in a thread, whatever becomes of the task."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = asyncio.Event()
        self.may_end = asyncio.Event()

    async def expire(
        self, owner: str, days: int, *, now: float | None = None, dry_run: bool = False
    ) -> list[ExpiredMessage]:
        removed = await super().expire(owner, days, now=now, dry_run=dry_run)
        if owner == "bob":
            self.begun.set()
            await self.may_end.wait()
        return removed


@pytest.mark.parametrize("longest", [0.0, 3600.0])
def test_removal_under_way_at_a_stop(longest: float) -> None:
    """The log has what a removal took that ended after a stop, or after its longest time."""

    async def serve(log: FilteringBoundLogger) -> None:
        mail = SlowMail()
        expiry = MailExpiry(mail, Accounts(), 7, log, pause=3600, longest=longest)
        context = ServerContext(store=MemoryStore(), authenticator=Passwords(), log=log)
        async with background_tasks(context, expiry, [], Clocks().steady(log)):
            await mail.begun.wait()
            asyncio.get_running_loop().call_later(0, mail.may_end.set)

    lines = io.StringIO()
    log, writer = event_log.configure_log("text", lines, threaded=False)
    asyncio.run(serve(log))
    writer.close()
    assert "event=expired user=bob messages=1" in lines.getvalue()
    assert "event=message_removed user=bob" in lines.getvalue()


class StoppedMail(Mail):
    """A store whose server stops after `turns` turns of the loop from the first removal on."""

    def __init__(self, turns: int, messages: int) -> None:
        super().__init__()
        self.turns = turns
        self.messages = messages
        self.task: asyncio.Task[None] | None = None

    async def expire(
        self, owner: str, days: int, *, now: float | None = None, dry_run: bool = False
    ) -> list[ExpiredMessage]:
        self._stop_after(self.turns)
        return [OLD] * self.messages

    def _stop_after(self, turns: int) -> None:
        assert self.task is not None
        stop = self.task.cancel if turns == 1 else functools.partial(self._stop_after, turns - 1)
        asyncio.get_running_loop().call_soon(stop)


@pytest.mark.parametrize("messages", [1, 2 * PIECE + 1])
@pytest.mark.parametrize("turns", range(1, 8))
def test_stop_after_a_removal(turns: int, messages: int) -> None:
    """A removal that is done is logged to its end, whenever the server stops after it."""
    mail = StoppedMail(turns, messages)

    async def serve(log: FilteringBoundLogger) -> None:
        expiry = MailExpiry(mail, Accounts(), 7, log, pause=3600)
        mail.task = asyncio.create_task(expiry.run(Clocks().steady(log)))
        await asyncio.wait([mail.task])

    log, writer = event_log.configure_log("text", lines := io.StringIO(), threaded=False)
    asyncio.run(serve(log))
    writer.close()
    assert lines.getvalue().count("event=expired user=ann") == 1
    assert lines.getvalue().count("event=message_removed user=ann") == messages
