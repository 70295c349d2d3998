"""`pop3 verify` fails no server for what RFCs allow, and no wrong server passes."""

from __future__ import annotations

import itertools
import socket
import time
from collections.abc import Iterator

import pytest

from conformance.faulty_proxy import Alter, HangUp, faulty
from conformance.in_memory import InMemory
from conformance.own_server import ann_at
from conformance.quick_checks import QUICK
from restante.client.tls import unverified_context
from restante.conformance import context as context_module
from restante.conformance import raw_connection, suite
from restante.conformance.check import LoginRejectedError
from restante.conformance.checks import after_login
from restante.conformance.context import ConformanceContext
from restante.conformance.delivery import Deliver
from restante.conformance.raw_connection import RawConnection, ServerUnderTest
from support.command import pop3
from support.faulty_server import PASSWORD, faulty_server, offering
from support.live import Live, serving

CORRECT = ("pass", "")
SECONDS = 2.0  # of processor time; work by the square of a reply takes ten times that


@pytest.fixture
def live() -> Iterator[Live]:
    with serving() as live:
        live.add("ann", "hunter22", b"Subject: one\n\nhello\n", b"Subject: two\n\na\nb\n")
        yield live


def verdict(
    port: int,
    name: str,
    deliver: Deliver | None = None,
    *,
    user: str = "ann",
    password: str = "hunter22",
) -> tuple[str, str]:
    """Return the verdict of one check, and its evidence."""
    server = ServerUnderTest(
        "127.0.0.1", port, "none", unverified_context(), "localhost", user, password
    )
    checks = [check for check in suite.CHECKS if check.name == name]
    (found,) = suite.run(ConformanceContext(server, deliver), checks).results
    return found.verdict, found.evidence


def test_long_message_on_a_slow_line(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message may take longer than a short reply, while its octets come."""
    live.add("ann", "hunter22", b"Subject: long\n\n" + b"0123456789abcde\n" * 20_000)
    monkeypatch.setattr(raw_connection, "SECONDS", 0.8)

    def slow(said: str, octets: bytes) -> bytes:
        if said.startswith("RETR"):
            time.sleep(min(0.5, len(octets) / 80_000))
        return octets

    with faulty(live.port, slow) as port:
        assert verdict(port, "retrieved_size") == CORRECT


def test_long_reply_in_small_parts() -> None:
    """A reply costs time by its length, however many reads it comes in."""
    body = b"0123456789abcd\r\n" * 250_000 + b".\r\n"

    class Parts:
        place = 0

        def settimeout(self, seconds: float) -> None:
            pass

        def recv(self, most: int) -> bytes:
            self.place += 512
            return body[self.place - 512 : self.place]

    begun = time.process_time()
    connection = RawConnection(Parts(), [])  # type: ignore[arg-type]
    assert connection.read_body() == body
    assert time.process_time() - begun < SECONDS


def refuse_unknown(said: str, octets: bytes) -> bytes:
    unknown = said.startswith("USER") and said != "USER ann"
    return b"-ERR never heard of it\r\n" if unknown else octets


_numbers = itertools.count()


def numbered_refusal(said: str, octets: bytes) -> bytes:
    if said.startswith("PASS") and octets.startswith(b"-ERR"):
        return b"-ERR [AUTH] Refused (%d).\r\n" % next(_numbers)
    return octets


@pytest.mark.parametrize(
    ("name", "answer", "evidence"),
    [
        ("long_name", refuse_unknown, "USER rejects unknown names"),
        ("unknown_name", numbered_refusal, "another one each time"),
    ],
)
def test_reply_that_says_nothing(live: Live, name: str, answer: Alter, evidence: str) -> None:
    """A reply from which nothing follows makes a check not testable."""
    with faulty(live.port, answer) as port:
        found = verdict(port, name)
    assert found[0] == "skip"
    assert evidence in found[1]


@pytest.mark.parametrize("name", ["lasting_ids", "removed"])
def test_mail_that_comes_meanwhile(live: Live, name: str) -> None:
    """Mail that comes between two sessions changes no verdict."""

    def deliver_more(said: str, octets: bytes) -> bytes:
        if said == "QUIT":
            InMemory(live).put(b"Subject: new\n\n")
        return octets

    with faulty(live.port, deliver_more) as port:
        assert verdict(port, name, InMemory(live)) == CORRECT


def test_take_over() -> None:
    """A server that ends the first session at the second login holds one session at a time."""
    with faulty_server("NOOP: close at 0%") as running:  # only the first session sends NOOP
        assert verdict(running.port, "locked", password=PASSWORD) == CORRECT


class LaterLogins:
    """Replies to some of the logins in another way."""

    def __init__(self, reply: bytes, numbers: range) -> None:
        self._reply = reply
        self._numbers = numbers
        self._logins = 0

    def __call__(self, said: str, octets: bytes) -> bytes:
        if not said.startswith("PASS"):
            return octets
        self._logins += 1
        return self._reply if self._logins in self._numbers else octets


def test_pause_between_logins(live: Live) -> None:
    """A server that allows a login only after a while is not called wrong."""
    reply = b"-ERR [LOGIN-DELAY] wait for 300 seconds\r\n"
    with faulty(live.port, LaterLogins(reply, range(2, 100))) as port:
        found = verdict(port, "stat")
    assert found[0] == "skip"
    assert "a pause between logins" in found[1]


def test_lock_after_a_disconnect(live: Live) -> None:
    """A server may keep the lock of a session that broke off for a moment."""
    reply = b"-ERR [IN-USE] locked\r\n"
    with faulty(live.port, LaterLogins(reply, range(4, 6))) as port:
        assert verdict(port, "hung_up", InMemory(live)) == CORRECT


def test_no_mechanism_for_a_token() -> None:
    """A token for which the server has no mechanism is an error that says so."""
    with faulty_server() as server:
        ran = pop3("verify", server.url, "--oauth", password=PASSWORD)
    assert (ran.code, ran.out) == (6, "")
    assert ran.err.startswith("cannot start the test: SASL announces neither OAUTHBEARER")


def test_challenge_without_a_space() -> None:
    """A plus alone asks for the token, too: only the check of that challenge fails."""
    server = ServerUnderTest(
        "127.0.0.1", 110, "none", unverified_context(), "localhost", "ann", "token", token=True
    )
    ours, theirs = socket.socketpair()
    with theirs, RawConnection(ours, []) as connection:
        theirs.sendall(b"+OK\r\nSASL XOAUTH2\r\n.\r\n+\r\n+OK Logged in.\r\n")
        assert ConformanceContext(server).send_login(connection) == b"+OK Logged in.\r\n"


def test_samples_are_looked_up_once(live: Live) -> None:
    """A mailbox that another program empties meanwhile does not end the run with a traceback."""
    counts = itertools.count()

    def empty(said: str, octets: bytes) -> bytes:
        nonlocal counts
        if said.startswith("PASS"):
            counts = itertools.count()
        return b"+OK 0 0\r\n" if said == "STAT" and next(counts) else octets

    with faulty(live.port, empty) as port:
        assert verdict(port, "not_reused", InMemory(live)) == CORRECT


@pytest.mark.parametrize("name", ["wrong_password", "unknown_name"])
def test_server_without_passwords(name: str) -> None:
    """A server whose users log in by a token alone cannot be tested with a wrong password."""
    with faulty_server(offering("XOAUTH2"), "USER: -ERR Use AUTH.", tls=True) as running:
        server = ServerUnderTest(
            "127.0.0.1", running.port, "starttls", unverified_context(), "localhost",
            "ann", PASSWORD, token=True,
        )  # fmt: skip
        checks = [check for check in suite.CHECKS if check.name == name]
        (found,) = suite.run(ConformanceContext(server), checks).results
    assert (found.verdict, found.evidence) == ("skip", 'USER is rejected: "-ERR Use AUTH."')


def test_server_without_user_in_clear() -> None:
    """A server that rejects USER before TLS has no name that it could forget at STLS."""
    with faulty_server("USER: -ERR [AUTH] Use STLS.", tls=True) as running:
        found = verdict(running.port, "name_forgotten", user="")
    assert found == ("skip", 'USER is rejected before STLS: "-ERR [AUTH] Use STLS."')


UIDS = ["unique_ids", "different_ids", "lasting_ids", "one_id"]


@pytest.mark.parametrize("name", UIDS)
def test_server_without_uidl(name: str) -> None:
    """UIDL is optional: RFC 1939 section 7."""
    with faulty_server("uidl-none") as running:
        found = verdict(running.port, name, password=PASSWORD)
    assert found == ("skip", "the server does not support UIDL")


SAMPLES = ["plain", "dots", "marked", "hung_up", "removed", "not_reused"]


@pytest.mark.parametrize(
    ("names", "expected"),
    [(SAMPLES, CORRECT), (["top_is_stuffed"], ("skip", "the server does not support TOP"))],
)
def test_server_without_top(live: Live, names: list[str], expected: tuple[str, str]) -> None:
    """TOP is optional: RFC 1939 section 7. The messages of a run are found by RETR."""

    def forget(said: str, octets: bytes) -> bytes:
        return octets.replace(b"\r\nTOP\r\n", b"\r\n") if said == "CAPA" else octets

    with faulty(live.port, forget, lambda _, line: line.replace(b"TOP ", b"XTOP ")) as port:
        verdicts = {name: verdict(port, name, InMemory(live)) for name in names}
    assert verdicts == dict.fromkeys(names, expected)


@pytest.mark.parametrize(
    ("fault", "name", "evidence"),
    [
        ("uidl-lies", "one_id", "UIDL: "),
        ("uidl-short", "unique_ids", "1 unique-ids for 2 messages"),
        ("list-plus", "list_one", '"1 +'),
        ("list-tab", "list_one", '"1\t'),
        ("list-blanks", "list_one", '"1   '),
    ],
)
def test_wrong_list(fault: str, name: str, evidence: str) -> None:
    """A list with another form than that of RFC 1939 section 5 fails a check."""
    with faulty_server(fault) as running:
        found = verdict(running.port, name, password=PASSWORD)
    assert found[0] == "fail"
    assert found[1].startswith(evidence)


@pytest.mark.parametrize("line", ["1 -1", "1"])
def test_message_without_a_size(line: str) -> None:
    """A message without a size fails the check of LIST only, and other messages are read."""
    with faulty_server(f"LIST: with {line}") as running:
        port = running.port
        found = [verdict(port, name, password=PASSWORD) for name in ("list_one", "retrieved_size")]
    assert found == [("fail", f'"{line}"'), CORRECT]


def test_evidence_of_numbers(live: Live) -> None:
    """The evidence is the first message with another number."""
    marked = []

    def renumber(said: str, octets: bytes) -> bytes:
        if said.startswith("DELE"):
            marked.append(said)
        wrong = said == "UIDL" and marked
        return octets.replace(b"\r\n1 ", b"\r\n9 ", 1) if wrong else octets

    with faulty(live.port, renumber) as port:
        found = verdict(port, "numbers_stay", InMemory(live))
    assert found == ("fail", '"1 memory-1" became "9 memory-1"')


@pytest.mark.parametrize("refused", [b"", b"-ERR later\r\n"])
def test_messages_that_cannot_be_deleted(live: Live, refused: bytes) -> None:
    """A run says that its messages may remain if the server refuses to delete one."""

    class ByServer(InMemory):
        exact = False

    def refuse(said: str, octets: bytes) -> bytes:
        return refused or octets if said.startswith("DELE") else octets

    with faulty(live.port, refuse) as port:
        server = ann_at(port)
        context = ConformanceContext(server, ByServer(live))
        problems = suite.run(context, suite.CHECKS[:1]).problems
    assert problems == (["test messages may remain in the mailbox"] if refused else [])
    assert bool(context.delivered) == bool(refused)


class Impatient:
    """Disconnects after the fifth reply of -ERR in a session."""

    def __init__(self) -> None:
        self._refused = 0

    def __call__(self, said: str, octets: bytes) -> bytes:
        self._refused = self._refused + octets.startswith(b"-ERR") if said else 0
        if self._refused == 5:
            raise OSError
        return octets


def test_server_that_ends_a_session_of_mistakes(live: Live) -> None:
    """A server may disconnect after five wrong commands in a session, as solid-pop3d does."""
    with faulty(live.port, Impatient()) as port:
        server = ann_at(port)
        found = suite.run(ConformanceContext(server, InMemory(live)), QUICK)
    assert [result for result in found.results if result.verdict == "fail"] == []


def test_server_that_disconnects_after_a_mistake(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that disconnects after -ERR, as WildDuck does, fails the check of that only."""
    monkeypatch.setattr(raw_connection, "HANG_UP", 0.3)  # a busy machine is slower

    def strict(said: str, octets: bytes) -> bytes:
        if octets.startswith((b"-ERR Unknown command", b"-ERR Write it as")):
            raise HangUp(octets)
        return octets

    names = [
        "unknown",
        "empty",
        "retr_alone",
        "top_nothing",
        "pipelining",
        "no_number",
    ]
    checks = [check for check in QUICK if check.name in names]
    with faulty(live.port, strict) as port:
        server = ann_at(port)
        found = suite.run(ConformanceContext(server, InMemory(live)), checks)
    failed = {
        result.check.name: result.evidence for result in found.results if result.verdict == "fail"
    }
    assert set(failed) == {"unknown", "empty"}, failed


def test_marked_message_that_is_listed(live: Live) -> None:
    """A server that still lists a marked message changes no number of others."""

    def mark_nothing(said: str, octets: bytes) -> bytes:
        return b"NOOP\r\n" if said.startswith("DELE") else octets

    with faulty(live.port, ask=mark_nothing) as port:
        assert verdict(port, "numbers_stay", InMemory(live)) == CORRECT
        assert verdict(port, "marked", InMemory(live))[0] == "fail"


def ids_by_hash(said: str, octets: bytes) -> bytes:
    """Give all copies of a twin one unique-id, as a hash of the message would."""
    if not said.startswith("UIDL"):
        return octets
    return octets.replace(b"memory-15\r\n", b"memory-14\r\n")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("twins", ("skip", 'both have the unique-id "memory-14", as a hash of the message does')),
        ("different_ids", CORRECT),
    ],
)
def test_unique_ids_by_hash(live: Live, name: str, expected: tuple[str, str]) -> None:
    """A unique-id may be a hash of the message: RFC 1939 section 7."""
    with faulty(live.port, ids_by_hash) as port:
        assert verdict(port, name, InMemory(live)) == expected


def test_unique_id_of_two_messages(live: Live) -> None:
    """Two different messages must not share a unique-id."""

    def same(said: str, octets: bytes) -> bytes:
        return octets.replace(b"memory-2\r\n", b"memory-1\r\n") if said == "UIDL" else octets

    with faulty(live.port, same) as port:
        found = verdict(port, "different_ids")
    assert found == ("fail", 'messages 1 and 2 differ, and both have the unique-id "memory-1"')


def test_lock_without_a_response_code(live: Live) -> None:
    """A server without response codes may keep a lock for a moment, too."""
    reply = b"-ERR maildrop already locked\r\n"
    with faulty(live.port, LaterLogins(reply, range(4, 6))) as port:
        assert verdict(port, "hung_up", InMemory(live)) == CORRECT


TOPS = ["top_nothing", "top_lines", "top_everything"]


@pytest.mark.parametrize("name", TOPS)
def test_first_message_too_long(live: Live, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The checks of TOP use a message that they can read whole."""
    live.add("bob", "hunter22", b"Subject: long\n\n" + b"x\n" * 3000, b"Subject: two\n\na\nb\n")
    monkeypatch.setattr(after_login, "LIMIT", 2000)
    monkeypatch.setattr(raw_connection, "LIMIT", 2000)
    assert verdict(live.port, name, user="bob") == CORRECT


def test_message_without_a_header(live: Live) -> None:
    """TOP n 0 of a message that begins with an empty line sends this line alone."""
    live.add("bob", "hunter22", b"\na\n\nb\n")
    found = {name: verdict(live.port, name, user="bob") for name in TOPS}
    assert found == dict.fromkeys(TOPS, CORRECT)


def test_private_capability(live: Live) -> None:
    """A capability of a server's own, such as X-ID, may end with the login."""
    replies: list[str] = []

    def announce(said: str, octets: bytes) -> bytes:
        replies.append(said)
        before = said == "CAPA" and not any(word.startswith("PASS") for word in replies)
        return octets.replace(b"\r\nUIDL\r\n", b"\r\nUIDL\r\nX-ID\r\n") if before else octets

    with faulty(live.port, announce) as port:
        server = ann_at(port)
        context = ConformanceContext(server)
        assert "X-ID" in context.capabilities_before
        replies.clear()
        checks = [check for check in suite.CHECKS if check.name == "both_states"]
        (found,) = suite.run(context, checks).results
    assert (found.verdict, found.evidence) == CORRECT


@pytest.mark.parametrize("name", ["wrong_password", "unknown_name", "goes_on"])
def test_slow_refusals(live: Live, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server may delay its replies to wrong passwords longer than others, as Dovecot does."""
    monkeypatch.setattr(RawConnection.exchange, "__defaults__", (0.5,))

    def slow(said: str, octets: bytes) -> bytes:
        if said.startswith("PASS") and octets.startswith(b"-ERR"):
            time.sleep(0.7)
        return octets

    with faulty(live.port, slow) as port:
        assert verdict(port, name) == CORRECT


@pytest.mark.parametrize("reply", [b"", b"later\r\n"])
def test_session_after_rejected_login(
    live: Live, reply: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server must reply to the command after a rejected login, or disconnect."""
    monkeypatch.setattr(RawConnection.exchange, "__defaults__", (0.5,))
    rejected: list[str] = []

    def fall_silent(said: str, octets: bytes) -> bytes:
        if said.startswith("PASS") and octets.startswith(b"-ERR"):
            rejected.append(said)
        return reply if rejected and said == "NOOP" else octets

    with faulty(live.port, fall_silent) as port:
        found = verdict(port, "goes_on")
    assert found[0] == "fail"
    assert "NOOP" in found[1] or "the next command" in found[1]


def test_message_that_lost_its_mark(live: Live) -> None:
    """A sample whose header was changed on its way is a finding, not a crash."""

    def strip(_: str, octets: bytes) -> bytes:
        return octets.replace(b"\r\nX-Restante-Verify", b"\r\nX-Restante-Veri")

    with faulty(live.port, strip) as port:
        found = verdict(port, "not_reused", InMemory(live))
    assert found == ("fail", "the message plain was delivered, but is not in the mailbox")


def test_messages_that_stop_logins(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """If a server rejects all logins after the delivery, the error names the delivery."""
    monkeypatch.setattr(context_module, "RELEASE", 0.1)
    answer = LaterLogins(b"-ERR message is damaged\r\n", range(3, 100))
    text = 'after the delivery of 13 test messages, the login was rejected: "-ERR message is'
    with faulty(live.port, answer) as port, pytest.raises(LoginRejectedError, match=text):
        verdict(port, "noop", InMemory(live))


def test_expire_without_a_blank(live: Live) -> None:
    """The evidence is the line of CAPA, as GNU Mailutils sends it."""

    def announce(said: str, octets: bytes) -> bytes:
        return octets.replace(b"\r\nUIDL\r\n", b"\r\nUIDL\r\nEXPIRENEVER\r\n")

    with faulty(live.port, announce) as port:
        assert verdict(port, "expire") == ("fail", '"EXPIRENEVER"')
