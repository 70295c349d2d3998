"""Whether a process can serve, however its accounts and its mail store behave."""

from __future__ import annotations

import asyncio

import pytest

from restante.auth.interfaces import CredentialsError, UnavailableError
from restante.server.context import ServerContext
from restante.server.log import event_log
from restante.server.metrics.readiness import CLOSED, KEPT, DependencyCheck, Readiness
from restante.storage.errors import StoreError
from restante.storage.memory import MemoryStore
from support.passwords import Passwords


class CheckedStore(MemoryStore):
    """A store in memory that can be checked, and may have an error."""

    error: Exception | None = None

    async def check(self) -> None:
        if self.error:
            raise self.error


class Directory(Passwords):
    """Accounts whose look-up has an error."""

    error: Exception = CredentialsError("unknown name")

    async def owner(self, name: str) -> str:
        raise self.error


@pytest.fixture
def context() -> ServerContext:
    log, _ = event_log.configure_log("text", threaded=False)
    return ServerContext(store=CheckedStore(), authenticator=Directory(), log=log)


def problems(context: ServerContext) -> list[str]:
    """Return the problems of a process that listens."""
    readiness = Readiness(context)
    readiness.note_listening()
    return list(asyncio.run(readiness.find_problems()))


def test_listeners(context: ServerContext) -> None:
    """A process is not ready before it listens, and not once it stops."""
    assert asyncio.run(Readiness(context).find_problems()) == [CLOSED]
    assert problems(context) == []
    context.connections.stopping = True
    assert problems(context) == [CLOSED]


@pytest.mark.parametrize("error", [UnavailableError("down"), OSError("odd")])
def test_accounts(
    context: ServerContext, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Accounts that cannot be asked make the process not ready, whatever the error is."""
    monkeypatch.setattr(Directory, "error", error)
    assert problems(context) == ["the accounts cannot be used"]


def test_store(context: ServerContext, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that fails makes the process not ready, and the log says why, and not the client."""
    monkeypatch.setattr(CheckedStore, "error", StoreError("no disk", path="/srv/mail"))
    assert problems(context) == ["the mail store cannot be used"]


class Dependency:
    """Something that answers when a gate is open."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.asked = 0
        self.failures: list[tuple[str, str]] = []
        self.now = 0.0

    def check(self, patience: float) -> DependencyCheck:
        def note(name: str, cause: str) -> None:
            self.failures.append((name, cause))

        def clock() -> float:
            return self.now

        return DependencyCheck("it", self.ask, note, patience=patience, clock=clock)

    async def ask(self) -> None:
        self.asked += 1
        await self.gate.wait()


def test_no_answer() -> None:
    """Without an answer there is a problem, logged once, and no second question is asked."""

    async def run() -> None:
        dependency = Dependency()
        check = dependency.check(patience=0)
        for _ in range(3):
            assert await check.find_problem() == "it cannot be used"
            dependency.now += 2 * KEPT
        assert dependency.failures == [("it", "no answer within 0 seconds")]
        assert dependency.asked == 1

    asyncio.run(run())


def test_many_clients() -> None:
    """One question serves all clients of the next second."""

    async def run() -> None:
        dependency = Dependency()
        dependency.gate.set()
        check = dependency.check(patience=60)
        assert await asyncio.gather(*(check.find_problem() for _ in range(50))) == [""] * 50
        assert dependency.asked == 1
        dependency.now += KEPT
        assert await check.find_problem() == ""
        assert dependency.asked == 2

    asyncio.run(run())
