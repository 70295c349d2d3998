"""Whether this process can serve: its listeners, its accounts and its mail store."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

from restante.auth.interfaces import CredentialsError, FindsOwner, UnavailableError, UncertainError
from restante.storage.errors import StoreError
from restante.storage.interfaces import ChecksItself, Knows

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from restante.server.context import ServerContext

UNLIKELY_NAME = "readiness-check"
"""A name to look up. Whether it has an account or a maildrop does not matter."""

PATIENCE = 2.0  # seconds for an answer
KEPT = 1.0  # seconds for which an answer holds, however many clients ask

CLOSED = "the server does not accept connections"


class DependencyCheck:
    """Something that the server depends on. One question is under way at most, however slow."""

    def __init__(
        self,
        name: str,
        ask: Callable[[], Awaitable[None]],
        on_failure: Callable[[str, str], object],
        *,
        patience: float = PATIENCE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`ask` raises an error if there is no answer, `on_failure` gets the name and the cause."""
        self._name = name
        self._ask = ask
        self._on_failure = on_failure
        self._patience = patience
        self._clock = clock
        self._asked_at = 0.0
        self._asking: asyncio.Task[str] | None = None
        self._failing = False

    async def find_problem(self) -> str:
        """Return why the server cannot depend on it, "" if it can."""
        if self._asking is None or (self._asking.done() and self._clock() >= self._asked_at + KEPT):
            self._asked_at = self._clock()
            self._asking = asyncio.get_running_loop().create_task(self._find_cause())
        await asyncio.wait([self._asking], timeout=self._patience)
        cause = f"no answer within {self._patience:g} seconds"
        if self._asking.done():
            cause = self._asking.result()
        if cause and not self._failing:
            self._on_failure(self._name, cause)
        self._failing = bool(cause)
        return f"{self._name} cannot be used" if cause else ""

    async def _find_cause(self) -> str:
        try:
            await self._ask()
        except (UnavailableError, StoreError) as error:
            return str(error)
        except Exception as error:  # noqa: BLE001  # whatever it is, the server cannot depend on it
            return f"{type(error).__name__}: {error}"
        return ""


class Readiness:
    """Whether this process can serve."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._is_listening = False

        def warn(part: str, cause: str) -> None:
            context.log.warning("not_ready", part=part, error=cause)

        self._parts = (
            DependencyCheck("the accounts", self._ask_accounts, warn),
            DependencyCheck("the mail store", self._ask_store, warn),
        )

    def note_listening(self) -> None:
        """Note that connections are accepted from now on, until the server stops."""
        self._is_listening = True

    async def find_problems(self) -> Sequence[str]:
        """Return what keeps this process from serving, a line each."""
        if not self._is_listening or self._context.connections.stopping:
            return [CLOSED]
        problems = await asyncio.gather(*(part.find_problem() for part in self._parts))
        return [problem for problem in problems if problem]

    async def _ask_accounts(self) -> None:
        accounts = self._context.authenticator
        if isinstance(accounts, FindsOwner):
            with contextlib.suppress(CredentialsError, UncertainError):
                await accounts.owner(UNLIKELY_NAME)

    async def _ask_store(self) -> None:
        store = self._context.store
        if isinstance(store, ChecksItself):
            await store.check()
        elif isinstance(store, Knows):
            await store.has(UNLIKELY_NAME)
