"""The contract of a store. Its test module gives the fixture `store`, and imports this."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protocol import reference
from restante.delivery.deliverer import AT_ONCE
from restante.protocol.server.needs import Body
from restante.quota import MailUsage, Quota
from restante.storage.errors import BusyError, MessageGoneError, OverQuotaError
from restante.storage.interfaces import BoundsDeliveries, Knows, LockedMaildrop, Store, open_store
from restante.storage.quota import KeepsQuota
from restante.storage.removals import KeepsDeleted

T = TypeVar("T")

LETTER = b"Subject: a\n\nhello\n"
BIG = b"Subject: big\n\n" + b"0123456789abcde\n" * 300_000
ODD = [
    b"",
    b"\n",
    b".",
    b".\n.\n",
    b"no last line end",
    b"unix\nlines\n",
    b"dos\r\nlines\r\n",
    b"mixed\r\nlines\n",
    b"a lone\rCR\r",
    b"\r\r\n",
    b"NUL\0\n",
    b"\xff\xfe latin \xe9\n",
    b"x" * 100_000,
    b"From ann\n>From bob\n",
]


def run(test: Callable[[], Coroutine[Any, Any, T]]) -> T:
    return asyncio.run(test())


async def opened(maildrop: LockedMaildrop, index: int, lines: int | None = None) -> Body:
    """Return a message, whether the store has it at once or in a thread."""
    body = maildrop.read(index, lines)
    return await body if inspect.isawaitable(body) else body


async def whole(maildrop: LockedMaildrop, index: int, lines: int | None = None) -> bytes:
    body = await opened(maildrop, index, lines)
    if isinstance(body, bytes):
        return body
    chunks = [chunk async for chunk in body]
    await body.aclose()
    return b"".join(chunks)


async def everything(store: Store, owner: str = "ann") -> dict[str, bytes]:
    """Return all messages by unique-id, in order."""
    maildrop = await store.acquire(owner, 0)
    try:
        uids = maildrop.contents.uids
        return {uid: await whole(maildrop, index) for index, uid in enumerate(uids)}
    finally:
        maildrop.release()


async def count_swept(
    store: KeepsDeleted,
    days: int,
    report: Callable[[str, str], object] = lambda *_: None,
    now: float | None = None,
) -> int:
    """Sweep the removed messages that are kept, and return how many were deleted."""
    return sum([count async for count in store.sweep_deleted(days, report, now=now)])


def test_a_user_without_mail_has_an_empty_maildrop(store: Store) -> None:
    """A user without mail has an empty maildrop."""
    assert run(lambda: everything(store)) == {}


@pytest.mark.parametrize("message", ODD, ids=repr)
def test_message_round_trip(store: Store, message: bytes) -> None:
    """rfc1939-s11/size, known-bug/last-line-end: a message is returned octet for octet, with its
    exact size.
    """

    async def test() -> None:
        await store.deliver("ann", message)
        maildrop = await store.acquire("ann", 0)
        assert list(maildrop.contents.sizes) == [reference.size(message)]
        assert await whole(maildrop, 0) == message
        maildrop.release()

    run(test)


def test_a_big_message_comes_in_chunks_of_bounded_size(store: Store) -> None:
    """A large message is read in chunks of bounded size."""

    async def test() -> None:
        await store.deliver("ann", BIG)
        maildrop = await store.acquire("ann", 0)
        assert list(maildrop.contents.sizes) == [reference.size(BIG)]
        assert await whole(maildrop, 0) == BIG
        maildrop.release()

    run(test)


LONG = b"0123456789abcdef\n" * 5000
LISTED = [
    b"Subject: a\n\n" + LONG,
    b"Subject: a\r\n\r\n" + LONG,
    LONG.replace(b"0", b"X-") + b"\n" + LONG,
    LONG,
    b"Subject: a\n\n" + b"x" * 200_000,
    b"Subject: big\n\n" + LONG * 20,
]


@pytest.mark.parametrize("lines", [0, 1, 100, 4000, 10_000])
@pytest.mark.parametrize("message", LISTED, ids=lambda message: repr(message[:14]))
def test_what_top_wants_is_there(store: Store, message: bytes, lines: int) -> None:
    """rfc1939-s7/top."""

    async def test() -> None:
        await store.deliver("ann", message)
        maildrop = await store.acquire("ann", 0)
        for _ in range(5):  # until the disk is known to be quick
            read = await whole(maildrop, 0, lines)
            assert reference.top(read, lines) == reference.top(message, lines)
        maildrop.release()

    run(test)


def test_messages_are_numbered_in_the_order_of_delivery(store: Store) -> None:
    """Messages are in the order of their delivery, in every session."""

    async def test() -> None:
        uids = [await store.deliver("ann", b"%d\n" % number) for number in range(12)]
        for _ in range(2):
            assert list((await everything(store)).items()) == [
                (uid, b"%d\n" % number) for number, uid in enumerate(uids)
            ]

    run(test)


def test_unique_ids_differ(store: Store) -> None:
    """rfc1939-s7/unique-id, rfc1939-s7/unique-id-not-reused: unique-ids are valid, and differ even
    for identical copies.
    """

    async def test() -> None:
        for _ in range(5):
            await store.deliver("ann", LETTER)
        uids = list(await everything(store))
        assert len(set(uids)) == 5
        for uid in uids:
            assert 1 <= len(uid) <= 70
            assert all(0x21 <= ord(character) <= 0x7E for character in uid)

    run(test)


def test_users_do_not_see_each_others_mail(store: Store) -> None:
    """Each user sees only the mail of that user."""

    async def test() -> None:
        await store.deliver("ann", b"for ann\n")
        await store.deliver("bob@example.com", b"for bob\n")
        assert list((await everything(store, "ann")).values()) == [b"for ann\n"]
        assert list((await everything(store, "bob@example.com")).values()) == [b"for bob\n"]

    run(test)


def test_what_comes_during_a_session_is_for_the_next(store: Store) -> None:
    """implied/stable-session."""

    async def test() -> None:
        first = await store.deliver("ann", LETTER)
        maildrop = await store.acquire("ann", 0)
        second = await store.deliver("ann", b"later\n")
        assert list(maildrop.contents.uids) == [first]
        await maildrop.remove([0])
        maildrop.release()
        assert await everything(store) == {second: b"later\n"}

    run(test)


@pytest.mark.parametrize("removed", [[0], [2], [0, 2], [1, 3], [0, 1, 2, 3], []])
def test_exactly_what_is_asked_for_is_removed(store: Store, removed: list[int]) -> None:
    """Exactly the given messages are removed."""

    async def test() -> None:
        for number in range(4):
            await store.deliver("ann", b"%d\n" % number)
        before = list((await everything(store)).items())
        maildrop = await store.acquire("ann", 0)
        await maildrop.remove(removed)
        maildrop.release()
        kept = [item for index, item in enumerate(before) if index not in removed]
        assert list((await everything(store)).items()) == kept

    run(test)


def test_a_release_removes_nothing(store: Store) -> None:
    """A session that only ends removes nothing."""

    async def test() -> None:
        await store.deliver("ann", LETTER)
        (await store.acquire("ann", 0)).release()
        assert len(await everything(store)) == 1

    run(test)


def test_gone_message(store: Store) -> None:
    """A message that is gone cannot be read, and removing it succeeds."""

    async def test() -> None:
        await store.deliver("ann", b"one\n")
        second = await store.deliver("ann", b"two\n")
        maildrop = await store.acquire("ann", 0)
        await maildrop.remove([0])
        with pytest.raises(MessageGoneError):
            await whole(maildrop, 0)
        await maildrop.remove([0])
        assert await whole(maildrop, 1) == b"two\n"
        maildrop.release()
        assert list(await everything(store)) == [second]

    run(test)


def test_second_session_rejected(store: Store) -> None:
    """rfc1939-s4/exclusive-lock, known-bug/two-sessions: a second session is rejected until the
    first ends.
    """

    async def test() -> None:
        maildrop = await store.acquire("ann", 0)
        begun = time.monotonic()
        with pytest.raises(BusyError):
            await store.acquire("ann", 0.2)
        assert time.monotonic() - begun >= 0.2
        (await store.acquire("bob", 0)).release()
        maildrop.release()
        maildrop.release()
        (await store.acquire("ann", 0)).release()

    run(test)


def test_waiting_session_succeeds(store: Store) -> None:
    """A waiting session succeeds if the first one ends in time."""

    async def test() -> None:
        maildrop = await store.acquire("ann", 0)
        asyncio.get_running_loop().call_later(0.1, maildrop.release)
        (await store.acquire("ann", 10)).release()

    run(test)


def test_a_correction_of_a_size_never_makes_it_wrong(store: Store) -> None:
    """The next session lists the corrected size."""

    async def test() -> None:
        await store.deliver("ann", LETTER)
        maildrop = await store.acquire("ann", 0)
        await maildrop.correct_sizes({0: reference.size(LETTER)})
        maildrop.release()
        maildrop = await store.acquire("ann", 0)
        assert list(maildrop.contents.sizes) == [reference.size(LETTER)]
        maildrop.release()

    run(test)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary())
def test_any_octets_come_back_as_they_were(store: Store, message: bytes) -> None:
    """Any octets are returned unchanged."""

    async def test() -> None:
        uid = await store.deliver("ann", message)
        maildrop = await store.acquire("ann", 0)
        assert list(maildrop.contents.uids) == [uid]
        assert await whole(maildrop, 0) == message
        await maildrop.remove([0])
        maildrop.release()

    run(test)


def test_store_opens_again(store: Store) -> None:
    """A store works in its context, and keeps the mail when it is opened again."""

    async def test() -> list[bytes]:
        async with open_store(store):
            await store.deliver("ann", LETTER)
            return list((await everything(store)).values())

    assert run(test) == [LETTER]
    assert run(test) == [LETTER] * 2


def test_deliveries_at_once(store: Store) -> None:
    """As many deliveries as the store allows at once are all kept."""
    many = store.deliveries_at_once if isinstance(store, BoundsDeliveries) else AT_ONCE
    assert many >= 1

    async def test() -> set[bytes]:
        async with open_store(store):
            await asyncio.gather(*(store.deliver("ann", b"%d\n" % n) for n in range(many)))
            return set((await everything(store)).values())

    assert run(test) == {b"%d\n" % number for number in range(many)}


def test_owners_who_have_a_maildrop(store: Store) -> None:
    """A store that knows its maildrops has those with mail, and creates none by the question."""
    if not isinstance(store, Knows):
        pytest.skip("this store does not say which maildrops exist")

    async def test() -> list[bool]:
        async with open_store(store):
            await store.deliver("ann", LETTER)
            return [await store.has(owner) for owner in ("ann", "eve", "eve", "", "x" * 300)]

    assert run(test) == [True, False, False, False, False]


def test_quota(store: Store) -> None:
    """A store that counts delivers up to the quota, and says how much mail there is."""
    if not isinstance(store, KeepsQuota):
        pytest.skip("the store does not count")

    async def test() -> None:
        stored = await store.deliver_within("ann", LETTER, Quota(1000, 2))
        assert stored.usage == MailUsage(stored.octets, 1)
        await store.deliver_within("ann", LETTER, Quota(2 * stored.octets, 2))
        for quota in (Quota(None, 2), Quota(3 * stored.octets - 1)):
            with pytest.raises(OverQuotaError):
                await store.deliver_within("ann", LETTER, quota)
        usage, quota = await store.find_usage("ann", Quota(1000))
        assert (usage, quota) == (MailUsage(2 * stored.octets, 2), Quota(1000))
        assert await store.find_usage("eve", Quota(5)) == (MailUsage(0, 0), Quota(5))
        assert len(await everything(store)) == 2

    run(test)
