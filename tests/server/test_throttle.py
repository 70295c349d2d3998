"""Slowing down who guesses: X9, and limits for each address and user."""

from __future__ import annotations

import asyncio

import pytest

from restante.server import throttle
from restante.server.limits import Addresses, Crowd
from restante.server.throttle import Throttle, origin
from support.live import serving


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    delays: list[float] = []

    async def sleep(seconds: float) -> None:
        delays.append(seconds)

    monkeypatch.setattr(throttle.asyncio, "sleep", sleep)  # type: ignore[attr-defined]
    return delays


def test_each_failure_doubles_the_delay_up_to_five_seconds(waited: list[float]) -> None:
    guesses = Throttle()
    for _ in range(12):
        asyncio.run(guesses.wait("192.0.2.1", "ann"))
        guesses.note_failure("192.0.2.1", "ann")
    assert [round(seconds, 2) for seconds in waited] == [0.25, 0.5, 1, 2, 4, 5, 5, 5, 5, 5, 5]


def test_a_stranger_delays_neither_the_owner_nor_other_accounts(waited: list[float]) -> None:
    guesses = Throttle()
    for _ in range(5):
        guesses.note_failure("192.0.2.1", "ann")
    asyncio.run(guesses.wait("192.0.2.2", "ann"))
    asyncio.run(guesses.wait("192.0.2.1", "bob"))
    assert waited == []


def test_who_knows_the_password_is_forgiven(waited: list[float]) -> None:
    guesses = Throttle()
    guesses.note_failure("192.0.2.1", "ann")
    guesses.forget("192.0.2.1", "ann")
    asyncio.run(guesses.wait("192.0.2.1", "ann"))
    assert waited == []


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1", ""])
def test_loopback_is_left_out_unless_it_is_to_count(waited: list[float], address: str) -> None:
    left_out, counted = Throttle(), Throttle(count_loopback=True)
    for guesses in (left_out, counted):
        guesses.note_failure(address, "ann")
        asyncio.run(guesses.wait(address, "ann"))
    assert len(waited) == 1


def test_failures_are_forgotten_after_a_while(
    waited: list[float],
) -> None:
    guesses = Throttle()
    for _ in range(6):
        guesses.note_failure("192.0.2.1", "ann")
    assert guesses.suspects("192.0.2.1", "ann")
    ((pair, (failures, last)),) = guesses._failures.items()
    guesses._failures[pair] = failures, last - throttle.MEMORY
    asyncio.run(guesses.wait("192.0.2.1", "ann"))
    assert waited == []
    assert not guesses.suspects("192.0.2.1", "ann")
    guesses.note_failure("192.0.2.1", "ann")
    assert guesses._known("192.0.2.1", "ann")[0] == 1


def test_who_guesses_on_many_connections_has_one_guess_at_a_time(waited: list[float]) -> None:
    """X9: else each wait would end in as many guesses as there are connections."""
    guesses = Throttle()
    guesses.note_failure("192.0.2.1", "ann")
    under_way, most = 0, 0

    async def guess() -> None:
        nonlocal under_way, most
        async with guesses.turn("192.0.2.1", "ann"):
            under_way += 1
            most = max(most, under_way)
            await asyncio.to_thread(int)  # the proof: others may go on meanwhile
            guesses.note_failure("192.0.2.1", "ann")
            under_way -= 1

    async def many() -> None:
        await asyncio.gather(*(guess() for _ in range(5)))

    asyncio.run(many())
    assert most == 1
    assert [round(seconds, 2) for seconds in waited] == [0.25, 0.5, 1, 2, 4]


def test_never_too_many_failures_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "MOST_PAIRS", 10)
    guesses = Throttle()
    for number in range(50):
        guesses.note_failure("192.0.2.1", f"user{number}")
    assert len(guesses._failures) == 10


@pytest.mark.parametrize(
    ("address", "counted_as"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:0:1:a:b:c:d", "2001:db8:0:1::/64"),
        ("fe80::1%eth0", "fe80::/64"),
    ],
)
def test_an_ipv6_address_counts_as_its_64(address: str, counted_as: str) -> None:
    assert origin(address) == counted_as


def test_an_address_may_have_so_many_connections_and_no_more() -> None:
    addresses = Addresses(2)
    assert addresses.enter("2001:db8::1")
    assert addresses.enter("2001:db8::2")
    assert not addresses.enter("2001:db8::3")
    assert addresses.enter("2001:db8:0:1::1")
    addresses.leave("2001:db8::1")
    assert addresses.enter("2001:db8::3")
    assert all(addresses.enter("127.0.0.1") for _ in range(9))


def test_a_connection_too_many_from_one_address_is_told_so_and_closed() -> None:
    with serving(addresses=Addresses(1, count_loopback=True)) as live:
        with live.connect() as first, live.connect() as second:
            assert first.read_line() == b"+OK POP3 server ready.\r\n"
            said = b"-ERR [SYS/TEMP] Too many connections, try again later.\r\n"
            assert second.read_line() == said
            assert second.read_all() == b""
            first.say("QUIT")
            first.read_all()
        with live.connect() as third:
            assert third.read_line().startswith(b"+OK")
        live.wait_for_log('end="too many connections from the address"')


def test_a_user_may_have_so_many_sessions_and_no_more() -> None:
    with serving(users=Crowd(1), lock_patience=0) as live:
        live.add("ann", "secret")
        with live.connect() as first, live.connect() as second:
            first.log_in("ann", "secret")
            second.read_line()
            second.say("USER ann")
            said = b"-ERR [IN-USE] Too many sessions of this account, try again later.\r\n"
            assert second.say("PASS secret") == said
            first.say("QUIT")
            first.read_all()
            second.say("USER ann")
            assert second.say("PASS secret") == b"+OK Logged in.\r\n"


def test_a_name_in_other_letters_is_no_new_one_to_guess_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "FIRST_DELAY", 0)
    guesses = Throttle(count_loopback=True)
    with serving(throttle=guesses) as live, live.connect() as client:
        client.read_line()
        for name in ("ann", "Ann", "aNN"):
            client.say(f"USER {name}")
            client.say("PASS hunter2")
    assert [failures for failures, _ in guesses._failures.values()] == [3]


def test_a_failed_login_has_a_line_in_the_log() -> None:
    with serving() as live, live.connect() as client:
        client.read_line()
        client.say("USER ann")
        client.say("PASS hunter2")
        live.wait_for_log("event=login_failed address=127.0.0.1 user=ann method=password reason=")
        assert "hunter2" not in live.log.getvalue()
