"""Delays for guesses, policy/throttle, and limits for each address and user."""

from __future__ import annotations

import asyncio
import base64
import gc
import tracemalloc
from collections.abc import Iterator
from typing import cast

import pytest

from restante.auth.interfaces import UnavailableError
from restante.auth.passwords import scram
from restante.net.client_networks import client_network
from restante.protocol.secret import Secret
from restante.protocol.server.settings import AuthOffer
from restante.server.error_replies import GuessesError
from restante.server.limits import throttle
from restante.server.limits.counters import AddressLimit, CountLimit
from restante.server.limits.failures import Failures
from restante.server.limits.server_limits import ServerLimits
from restante.server.limits.throttle import MAX_AT_ONCE, Tables, Throttle
from support.clocked_server import ADDRESS, Loop, clocked
from support.live import serving
from support.passwords import Passwords

ANN = ("192.0.2.1", "ann")
PAIRS = 50  # of an address and a name


class Guesser:
    """Logins on a clock of their own: what each of them said, and how long it waited."""

    def __init__(self, throttle: Throttle, loop: Loop, tables: Tables) -> None:
        self.throttle = throttle
        self.tables = tables
        self.loop = loop
        self.waited: dict[str, float] = {}
        self.refused: list[str] = []

    async def guess(self, said: str, address: str = ANN[0], *, digest: bool = False) -> None:
        """Say a password, "right" or another; by a digest that is another one each time."""
        begun = self.loop.time()
        secret = b"" if digest else said.partition(":")[0].encode()
        try:
            async with self.throttle.one_at_a_time(address, "ann", secret):
                self.waited[said] = self.loop.time() - begun
                await asyncio.sleep(0.01)  # the proof: others may go on meanwhile
                if said.startswith("right"):
                    self.throttle.clear(address, "ann", secret)
                else:
                    self.throttle.note_failure(address, "ann", secret)
        except GuessesError:
            self.refused.append(said)

    def all_at_once(self, *passwords: str, digest: bool = False) -> list[float]:
        """Say them all at once; return how long each one waited that was not refused."""
        tasks = [self.loop.create_task(self.guess(said, digest=digest)) for said in passwords]
        self.loop.turn()
        while not all(task.done() for task in tasks):
            self.loop.skip()
        return [self.waited[said] for said in passwords if said in self.waited]


@pytest.fixture
def guesser() -> Iterator[Guesser]:
    loop = Loop()
    tables = Tables()
    yield Guesser(Throttle(clock=loop.time, tables=tables), loop, tables)
    loop.close()


def test_failures_double_the_delay(guesser: Guesser) -> None:
    """Each failure doubles the delay, up to five seconds, for guesses in turn."""
    waited = []
    for number in range(8):
        waited += guesser.all_at_once(f"guess{number}")  # the next one comes at once
    assert waited == pytest.approx([0, 0.25, 0.5, 1, 2, 4, 5, 5])


def test_right_one_behind_guessers(guesser: Guesser) -> None:
    """The right password waits five seconds at most, whatever else is tried beside it."""
    guesses = [f"guess{number}" for number in range(7)]
    waited = guesser.all_at_once(*guesses, "right")
    assert waited == pytest.approx([0, 0.25, 0.5, 1, 2, 4, 5, 5])
    assert not guesser.refused


def test_guesses_in_parallel(guesser: Guesser) -> None:
    """Of 95 guesses at once eight are proved, in turn, and the others are refused."""
    waited = guesser.all_at_once(*(f"guess{number}" for number in range(95)))
    assert waited == pytest.approx([0, 0.25, 0.5, 1, 2, 4, 5, 5])
    assert len(guesser.refused) == 95 - MAX_AT_ONCE


def test_guesses_by_digest(guesser: Guesser) -> None:
    """Where each proof is another one, as with SCRAM, each is a guess."""
    waited = guesser.all_at_once(*(f"old:{number}" for number in range(10)), digest=True)
    assert len(waited) == MAX_AT_ONCE
    assert max(waited) == pytest.approx(5)


@pytest.mark.parametrize("connections", [1, 10, 90])
def test_one_old_password(guesser: Guesser, connections: int) -> None:
    """One old password, however often it is sent, is one guess, and has one place."""
    for number in range(connections):
        guesser.loop.create_task(guesser.guess(f"old:{number}"))
    guesser.loop.turn()
    guesser.loop.advance(0.2, 0.01)
    assert guesser.all_at_once("right") == pytest.approx([0], abs=0.3)
    assert not guesser.refused
    assert max(guesser.waited.values()) <= 5.1


def test_old_password_again_and_again(guesser: Guesser) -> None:
    """A telephone with an old password delays only itself."""
    for number in range(20):
        guesser.all_at_once(f"old:{number}")
    assert guesser.all_at_once("right") == [0]


@pytest.mark.parametrize("said", ["old", "right"])
def test_one_password_beside_guessers(guesser: Guesser, said: str) -> None:
    """One password in many connections waits five seconds at most each time, in all its waits."""
    guesses = [f"guess{number}" for number in range(7)]
    waited = guesser.all_at_once(*guesses, *(f"{said}:{number}" for number in range(20)))
    assert len(waited) == 27
    assert max(waited) == pytest.approx(5)


@pytest.mark.parametrize(
    ("proof", "waits", "asked"),
    [
        (0.3, [0.3] * 8, 1),  # the source fails: all have this answer
        (2, [0.5] * 7 + [2], 8),  # the source hangs: no login waits longer than it may
    ],
)
def test_equal_logins_while_the_source_fails(
    guesser: Guesser, proof: float, waits: list[float], asked: int
) -> None:
    """Equal logins share the first result, a failure of the source too, and wait no longer for it
    than they may in all.
    """
    ended: list[float] = []
    proofs = 0

    async def log_in() -> None:
        nonlocal proofs
        begun = guesser.loop.time()
        with pytest.raises(UnavailableError):
            async with guesser.throttle.one_at_a_time(*ANN, b"right", patience=0.5):
                proofs += 1
                await asyncio.sleep(proof if proofs == 1 else 0)
                raise UnavailableError("the database is away")
        ended.append(guesser.loop.time() - begun)

    tasks = [guesser.loop.create_task(log_in()) for _ in range(8)]
    guesser.loop.turn()
    while not all(task.done() for task in tasks):
        guesser.loop.skip()
    assert ended == pytest.approx(waits)
    assert proofs == asked


def test_equal_logins_after_a_right_one(guesser: Guesser) -> None:
    """Once a password was right, those that wait with the same one are proved beside each other."""
    ended: list[float] = []

    async def log_in() -> None:
        async with guesser.throttle.one_at_a_time(*ANN, b"right"):
            await asyncio.sleep(1)
            guesser.throttle.clear(*ANN, b"right")
        ended.append(guesser.loop.time())

    begun = guesser.loop.time()
    tasks = [guesser.loop.create_task(log_in()) for _ in range(5)]
    guesser.loop.turn()
    while not all(task.done() for task in tasks):
        guesser.loop.skip()
    assert [round(at - begun, 2) for at in ended] == [1, 2, 2, 2, 2]


def test_equal_login_of_a_client_that_left(guesser: Guesser) -> None:
    """If the first of two equal guesses hangs up, the second one waits as long as the first."""
    for number in range(3):
        guesser.throttle.note_failure(*ANN, b"%d" % number)
    first, second = (guesser.loop.create_task(guesser.guess(f"new:{each}")) for each in "ab")
    guesser.loop.turn()
    first.cancel()
    guesser.loop.turn()
    while not second.done():
        guesser.loop.skip()
    assert guesser.waited == {"new:b": pytest.approx(1)}


def test_both_steps_of_scram() -> None:
    """The challenge and the proof of SCRAM wait five seconds at most, together."""
    accounts = ScramAccounts()
    with clocked(
        authenticator=accounts, offer=lambda: AuthOffer(mechanisms=frozenset({"SCRAM-SHA-256"}))
    ) as server:
        for _ in range(8):
            server.context.limits.throttle.note_failure(ADDRESS, "ann")
        peer = server.connect()
        begun = server.loop.now
        peer.say(b"AUTH SCRAM-SHA-256 " + base64.b64encode(b"n,,n=ann,r=abc") + b"\r\n")
        while not peer.heard.splitlines()[-1].startswith(b"+ "):
            server.loop.advance(0.1, 0.1)
        first = base64.b64decode(peer.heard.splitlines()[-1][2:])
        nonce = first.partition(b",")[0]
        peer.say(base64.b64encode(b"c=biws," + nonce + b",p=AAAA") + b"\r\n")
        while b"[AUTH]" not in peer.heard:
            server.loop.advance(0.1, 0.1)
        assert server.loop.now - begun <= 5.2


class ScramAccounts(Passwords):
    """Accounts with keys that are there at once."""

    def __init__(self) -> None:
        super().__init__()
        self.known["ann"] = "secret"
        self._keys = scram.create_keys("SCRAM-SHA-256", Secret(b"secret"))

    async def scram_keys(self, mechanism: str, user: str) -> scram.ScramKeys:
        return self._keys


def test_right_one_lets_the_others_go_on(guesser: Guesser) -> None:
    """Once one has logged in, those that wait beside it wait no more."""
    waited = guesser.all_at_once(*(f"right:{number}" for number in range(8)), digest=True)
    assert max(waited) < 0.1


def test_digests_only(guesser: Guesser) -> None:
    """The tables know neither names nor passwords."""
    guesser.all_at_once("hunter2")
    kept = repr(vars(guesser.tables.failed)) + repr(vars(guesser.tables.tried))
    assert "hunter2" not in kept
    assert "ann" not in kept


def test_nothing_is_kept(guesser: Guesser) -> None:
    """After the end of all guesses, also of cancelled ones, as many can wait, and nothing stays."""
    tasks = [guesser.loop.create_task(guesser.guess(f"guess{number}")) for number in range(8)]
    guesser.loop.turn()
    for task in tasks[::2]:
        task.cancel()
    guesser.loop.advance(30, 0.1)
    guesser.all_at_once(*(f"later{number}" for number in range(MAX_AT_ONCE)))
    assert not guesser.refused
    addresses = [f"198.51.100.{number}" for number in range(PAIRS)]
    for address in addresses:
        client_network(address)  # has a cache of its own
    tracemalloc.start()
    try:
        for address in addresses:
            cancel_guesses(guesser, address)
        guesser.loop.advance(30, 1)  # the event loop forgets its timers
        gc.collect()
        kept = tracemalloc.take_snapshot()
    finally:
        tracemalloc.stop()
    made = kept.filter_traces([tracemalloc.Filter(True, throttle.__file__)])
    assert sum(each.count for each in made.statistics("filename")) < PAIRS


def cancel_guesses(guesser: Guesser, address: str) -> None:
    """Cancel two guesses, while one is proved and the other one waits for it."""
    two = [guesser.loop.create_task(guesser.guess(said, address)) for said in ("one", "two")]
    guesser.loop.turn()
    for task in two:
        task.cancel()
    guesser.loop.turn()


def test_stranger_delays_only_itself(guesser: Guesser) -> None:
    """A stranger's guesses delay neither the owner nor other accounts."""
    for _ in range(5):
        guesser.throttle.note_failure(*ANN)
    guesser.loop.create_task(guesser.guess("right", "192.0.2.2"))
    guesser.loop.turn()
    assert guesser.waited == {"right": 0}
    assert not guesser.throttle.has_recent_failures(ANN[0], "bob")


def test_who_knows_the_password_is_forgiven(guesser: Guesser) -> None:
    """A correct password clears the failures before it."""
    guesser.throttle.note_failure(*ANN)
    guesser.throttle.clear(*ANN)
    assert guesser.all_at_once("right") == [0]


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1", ""])
def test_loopback_is_left_out_unless_it_is_to_count(address: str) -> None:
    """Loopback addresses are not throttled unless the configuration says so."""
    left_out, counted = Throttle(), Throttle(count_loopback=True)
    for guesses in (left_out, counted):
        guesses.note_failure(address, "ann")
    assert not left_out.has_recent_failures(address, "ann")
    assert counted.has_recent_failures(address, "ann")


def test_failures_are_forgotten_after_a_while(guesser: Guesser) -> None:
    """Failures are forgotten after their time, even if there are later ones of other clients."""
    for _ in range(6):
        guesser.throttle.note_failure(*ANN)
    assert guesser.throttle.has_recent_failures(*ANN)
    guesser.loop.now += throttle.MEMORY
    guesser.throttle.note_failure("192.0.2.2", "bob")
    assert not guesser.throttle.has_recent_failures(*ANN)
    assert guesser.all_at_once("right") == [0]


def test_never_too_many_failures_are_remembered() -> None:
    """The number of remembered failures is bounded."""
    tables = Tables(failed=Failures(10), tried=Failures(10))
    guesses = Throttle(tables=tables)
    for number in range(50):
        guesses.note_failure("192.0.2.1", f"user{number}", b"%d" % number)
    assert [len(cast("Failures", table)) for table in (tables.failed, tables.tried)] == [10, 10]


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
    """An IPv6 address counts as its /64 network."""
    assert client_network(address) == counted_as


def test_connections_per_address() -> None:
    """An address may have a limited number of connections."""
    addresses = AddressLimit(2)
    assert addresses.acquire("2001:db8::1")
    assert addresses.acquire("2001:db8::2")
    assert not addresses.acquire("2001:db8::3")
    assert addresses.acquire("2001:db8:0:1::1")
    addresses.release("2001:db8::1")
    assert addresses.acquire("2001:db8::3")
    assert all(addresses.acquire("127.0.0.1") for _ in range(9))


def test_too_many_connections() -> None:
    """A connection over an address's limit gets an error and is closed."""
    with serving(limits=ServerLimits(addresses=AddressLimit(1, count_loopback=True))) as live:
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
    """A user has a limited number of sessions at a time."""
    with serving(limits=ServerLimits(users=CountLimit(1)), lock_timeout=0) as live:
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


def test_limits_of_a_program() -> None:
    """A program that embeds the server has the limits that it names."""
    made = ServerLimits.create(
        connections=3, connections_per_address=2, sessions_per_user=1, count_loopback=True
    )
    assert [made.connections.acquire("") for _ in range(4)] == [True, True, True, False]
    assert [made.addresses.acquire("127.0.0.1") for _ in range(3)] == [True, True, False]
    assert [made.users.acquire("ann") for _ in range(2)] == [True, False]
    made.throttle.note_failure("127.0.0.1", "ann")
    assert made.throttle.has_recent_failures("127.0.0.1", "ann")


def test_name_in_other_case_counts() -> None:
    """A name in another letter case counts as the same name."""
    tables = Tables()
    guesses = Throttle(tables=tables)
    with clocked(limits=ServerLimits(throttle=guesses)) as server:
        peer = server.connect()
        for number, name in enumerate((b"ann", b"Ann", b"aNN")):
            peer.say(b"USER %b\r\nPASS hunter%d\r\n" % (name, number))
            server.loop.advance(throttle.LONGEST_DELAY)
    assert len(cast("Failures", tables.failed)) == 1
    assert guesses.failures(ADDRESS, "ann")[0] == 3


def test_too_many_guesses_are_told_so() -> None:
    """The reply to a guess too many says that the client must wait."""
    tables = Tables(places=CountLimit(0))
    throttle = Throttle(count_loopback=True, tables=tables)
    with serving(limits=ServerLimits(throttle=throttle)) as live:
        live.add("ann", "secret")
        with live.connect() as client:
            client.read_line()
            client.say("USER ann")
            assert client.say("PASS secret") == (
                b"-ERR [SYS/TEMP] Too many logins of this account from your address, "
                b"try again later.\r\n"
            )
        live.wait_for_log("event=trouble address=127.0.0.1 user=ann")


def test_a_failed_login_has_a_line_in_the_log() -> None:
    """A failed login is logged without its password."""
    with serving() as live, live.connect() as client:
        client.read_line()
        client.say("USER ann")
        client.say("PASS hunter2")
        live.wait_for_log("event=login_failed address=127.0.0.1 user=ann method=password reason=")
        assert "hunter2" not in live.log.getvalue()
