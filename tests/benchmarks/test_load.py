"""The benchmark's load counts what is right, and stops at the first reply that is wrong."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import load
import pytest
from load import Result
from servers import Running, canned, restante

import mail
from support.broken_server import CLOSE, HELLO, SECOND, Reply, broken
from support.process import serving
from support.programs import need

Run = Callable[..., Result]


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need("cc")
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
    with broken() as server:
        found = run(server.port, scenario, sessions=3, connections=3, users=3)
    assert (found.sessions, found.refused) == (3, 0)


def test_canned_server_answers_load(tmp_path: Path, programs: Path, run: Run) -> None:
    """The canned server answers all commands of the load."""
    with canned(programs / "canned", tmp_path, None, messages=20, octets=7000) as server:
        for scenario in ("login", "poll", "drain", "pipelined", "top", "dele"):
            found = run(server, scenario, messages=20, connections=4, users=4, sessions=8)
            assert found.sessions == 8, scenario


WRONG: dict[str, tuple[str, dict[str, Reply], str]] = {
    "a login is refused": ("login", {"PASS": b"-ERR no\r\n"}, "refused: -ERR no"),
    "STAT counts wrongly": ("poll", {"STAT": b"+OK 3 99\r\n"}, "another number of messages"),
    "UIDL lists too few": ("poll", {"UIDL": b"+OK\r\n1 a\r\n.\r\n"}, "another number of messages"),
    "UIDL is disordered": ("poll", {"UIDL": b"+OK\r\n2 a\r\n1 b\r\n.\r\n"}, "out of order"),
    "LIST is disordered": ("drain", {"LIST": b"+OK\r\n2 9\r\n1 9\r\n.\r\n"}, "out of order"),
    "LIST tells another size": ("drain", {"LIST": b"+OK\r\n1 9\r\n2 9\r\n.\r\n"}, "octets, not 9"),
    "a message is cut": ("pipelined", {"RETR 2": b"+OK\r\nSubject: S\r\n.\r\n"}, "another size"),
    "a message has a line too many": (
        "drain",
        {"RETR 1": b"+OK\r\n" + HELLO + b"\r\n.\r\n"},
        "size",
    ),
    "a line has no CR": ("drain", {"RETR 1": b"+OK\r\nSubject: S\n.\r\n"}, "without CR"),
    "a dot is not doubled": ("drain", {"RETR 2": b"+OK\r\n" + SECOND + b".\r\n"}, "another size"),
    "a header is empty": ("top", {"TOP": b"+OK\r\n.\r\n"}, "TOP is empty"),
    "a mark is refused": ("dele", {"DELE 2": b"-ERR no\r\n"}, "refused: -ERR no"),
    "one reply is two": ("poll", {"STAT": b"+OK 2 9\r\n+OK again\r\n"}, "more than it was asked"),
    "it hangs up": ("poll", {"UIDL": b"+OK\r\n1 a\r\n" + CLOSE}, "hung up"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_reply_ends_the_run_and_is_told(what: str, run: Run) -> None:
    """A wrong reply ends the run with an error."""
    scenario, replies, told = WRONG[what]
    with broken(replies) as server, pytest.raises(RuntimeError, match=told):
        run(server.port, scenario, sessions=1)


def test_known_wrong_sizes_can_pass(run: Run) -> None:
    """Sizes that are known to be wrong can be accepted."""
    with broken({"LIST": b"+OK\r\n1 9\r\n2 9\r\n.\r\n"}) as server:
        assert run(server.port, "drain", sessions=1, exact=0).sessions == 1


def test_a_storm_counts_who_was_turned_away(run: Run) -> None:
    """A storm counts the rejected connections."""
    replies = iter([b"-ERR full\r\n", b"+OK\r\n", CLOSE])
    with broken({"USER": lambda _: next(replies)}) as server:
        found = run(server.port, "storm", users=3, connections=3)
    assert (found.sessions, found.refused) == (1, 2)


def test_fairness_measures_logins(run: Run) -> None:
    """The fairness scenario measures logins and not downloads."""
    with broken() as server:
        found = run(server.port, "fairness", users=2, connections=2, seconds=0.3, pause=10)
    assert found.sessions > 0
    assert found.replies > 4 * found.sessions
