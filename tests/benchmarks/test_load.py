"""The benchmark's load counts what is right, and stops at the first reply that is wrong."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import load
import pytest
from load import Result
from servers import Running, canned, restante

import mail
from restante import testing
from restante.misbehave.changes import body, lines
from restante.misbehave.conversation import Alteration, Ending, ReplyParts, stop_at
from restante.misbehave.rules import on, say
from restante.testing import MemoryServer
from support.faulty_server import HELLO, SECOND, faulty_server
from support.process import serving
from support.programs import need_header

Run = Callable[..., Result]


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need_header("openssl/ssl.h")
    folder = tmp_path_factory.mktemp("programs")
    load.build(folder)
    return folder


@pytest.fixture
def run(programs: Path) -> Run:
    """Run the load for this many sessions, on any free core."""

    def run(server: Running | int, scenario: str, **options: float) -> Result:
        if isinstance(server, int):
            server = Running("double", server, 0)
        options = {"messages": 2, "seconds": 20, **options}
        return load.run(programs / "load", None, server, scenario, **options)

    return run


@contextlib.contextmanager
def good_server(users: int) -> Iterator[MemoryServer]:
    with testing.serving() as server:
        for number in range(users):
            server.add(f"u{number}", "secret", HELLO, SECOND)
        yield server


def test_logins_and_drains_of_a_real_server_are_counted(tmp_path: Path, run: Run) -> None:
    """The load program counts sessions, replies, octets and times of a real server."""
    with serving(tmp_path, measured=True) as served:
        for user in ("u0", "u1"):
            served.add(user, "secret", HELLO, SECOND)
        server = Running("Restante", served.port, served.process.pid)
        logins = run(server, "login", users=2, connections=2, sessions=6)
        drains = run(server, "drain", users=2, connections=2, sessions=4)
        used = server.cpu()
    assert logins.sessions == 6
    assert logins.replies == 6 * len(["greeting", "USER", "PASS", "QUIT"])
    assert drains.sessions == 4
    assert drains.octets > 4 * len(HELLO + SECOND)
    assert 0 < drains.p50 <= drains.p99 <= drains.max
    assert used > 0


def test_tickets_shorten_handshakes(tmp_path: Path, run: Run) -> None:
    """With resume=1 every session of a connection after its first one shows a ticket."""
    box = tmp_path / "mail"
    mail.maildirs(box, users=2, messages=2, octets=700, owner=os.getuid())
    with restante(tmp_path / "server", box, None) as server:
        full = run(server, "login", users=2, connections=2, sessions=6, tls=1)
        short = run(server, "poll", users=2, connections=2, sessions=6, tls=1, resume=1)
    assert (full.sessions, full.resumed) == (6, 0)
    assert (short.sessions, short.resumed) == (6, 4)


@pytest.mark.parametrize(
    "scenario", ["login", "poll", "drain", "pipelined", "top", "dele", "open", "stat", "storm"]
)
def test_scenarios_with_a_good_server(scenario: str, run: Run) -> None:
    """Each scenario completes all its sessions with a server that makes no error."""
    with good_server(users=3) as server:
        found = run(server.port, scenario, sessions=3, connections=3, users=3)
    assert (found.sessions, found.refused) == (3, 0)


def test_canned_server_answers_load(tmp_path: Path, programs: Path, run: Run) -> None:
    """The canned server answers all commands of the load."""
    with canned(programs / "canned", tmp_path, None, messages=20, octets=7000) as server:
        for scenario in ("login", "poll", "drain", "pipelined", "top", "dele"):
            found = run(server, scenario, messages=20, connections=4, users=4, sessions=8)
            assert found.sessions == 8, scenario


WRONG_SIZES = "LIST: with 1 9\nLIST: with 2 9"

WRONG: dict[str, tuple[str, str | Alteration, str]] = {
    "a login is refused": ("login", "PASS: -ERR no", "refused: -ERR no"),
    "STAT counts wrongly": ("poll", "STAT: +OK 3 99", "another number of messages"),
    "UIDL lists too few": ("poll", "uidl-short", "another number of messages"),
    "UIDL is disordered": ("poll", lines("UIDL", lambda found: found[::-1]), "out of order"),
    "LIST is disordered": ("drain", "list-reversed", "out of order"),
    "LIST tells another size": ("drain", WRONG_SIZES, "octets, not 9"),
    "a message is cut": ("pipelined", "retr-short", "another size"),
    "a message has a line too many": ("drain", "retr-many-newlines", "size"),
    "a line has no CR": ("drain", "retr-lf", "without CR"),
    "a dot is not doubled": ("drain", "retr-unstuffed", "another size"),
    "a header is empty": ("top", body("TOP", lambda _: b""), "TOP is empty"),
    "a mark is refused": ("dele", "DELE 2: -ERR no", "refused: -ERR no"),
    "one reply is two": ("poll", "stat-twice", "more than it was asked"),
    "it hangs up": ("poll", "uidl-cut", "hung up"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_reply_ends_the_run_and_is_told(what: str, run: Run) -> None:
    """A wrong reply ends the run with an error."""
    scenario, fault, told = WRONG[what]
    with faulty_server(fault, user="u0", password="secret") as server:
        with pytest.raises(RuntimeError, match=told):
            run(server.port, scenario, sessions=1)


def test_known_wrong_sizes_can_pass(run: Run) -> None:
    """Sizes that are known to be wrong can be accepted."""
    with faulty_server(WRONG_SIZES, user="u0", password="secret") as server:
        assert run(server.port, "drain", sessions=1, exact=0).sessions == 1


def test_a_storm_counts_who_was_turned_away(run: Run) -> None:
    """A storm counts the rejected connections."""

    def turn_away(reply: ReplyParts) -> ReplyParts:
        if reply.command.argument == "u0":
            return say(reply, b"-ERR full\r\n")
        return stop_at(reply, Ending.CLOSE, 0) if reply.command.argument == "u2" else reply

    with faulty_server(on("USER", turn_away), user="u1", password="secret") as server:
        found = run(server.port, "storm", users=3, connections=3)
    assert (found.sessions, found.refused) == (1, 2)


def test_fairness_measures_logins(run: Run) -> None:
    """The fairness scenario measures logins and not downloads."""
    with good_server(users=2) as server:
        found = run(server.port, "fairness", users=2, connections=2, sessions=20, pause=10)
    assert found.sessions > 0
    assert found.replies > 4 * found.sessions
