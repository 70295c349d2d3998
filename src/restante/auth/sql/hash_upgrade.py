"""New hashes in place of weak ones, by the administrator's query, after logins that proved them."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Any

from restante.auth.interfaces import UnavailableError
from restante.auth.passwords import hashing as password_hashing
from restante.auth.sql.queries import RejectedQueryError

if TYPE_CHECKING:
    from collections.abc import Callable

    from restante.auth.sql.queries import AccountQueries
    from restante.protocol.secret import Secret

PATIENCE = 5  # seconds for the answer to a change
MAX_CHANGES = 100  # changes at once; another one waits for the next login


class SqlHashUpgrader:
    """Replaces weak hashes in a database, or warns of the first one if there is no query.

    The query gets the new hash, the name with which the account was found, and the old hash. `note`
    is called for each hash that was replaced, `warn` with words. A query that the database rejects
    gets one warning, and no further try. Without an answer of it, or a free thread, the next login
    tries again.
    """

    def __init__(
        self, query: str | None, note: Callable[[int], None], warn: Callable[[str], None]
    ) -> None:
        self._query = query
        self._note = note
        self._warn = warn
        self._threads = password_hashing.threads()
        self._tasks: set[asyncio.Task[None]] = set()
        self._disabled = False

    def replace(
        self, queries: AccountQueries[Any], name: str, stored: str, password: Secret
    ) -> None:
        """Replace the hash of an account; its password was just proved."""
        if (
            self._disabled
            or len(self._tasks) >= MAX_CHANGES
            or not password_hashing.is_weak(stored)
        ):
            return
        if self._query is None:
            settings = f"`accounts.upgrade_hashes` and `accounts.{queries.setting}_upgrade`"
            self._disable(f"{queries.database}: accounts have weak hashes; {settings} replace them")
            return
        task = asyncio.create_task(self._replace(queries, self._query, (name, stored), password))
        self._tasks.add(task)  # the event loop itself would let go of it
        task.add_done_callback(self._tasks.discard)

    async def _replace(
        self,
        queries: AccountQueries[Any],
        query: str,
        account: tuple[str, str],
        password: Secret,
    ) -> None:
        name, stored = account
        try:
            work = functools.partial(password_hashing.hash_anew, stored, password)
            new = await self._threads.run(name, work)
            if new is None:  # the old hash could not be computed again, such as without memory
                return
            ends = asyncio.get_running_loop().time() + PATIENCE
            await queries.change(query, (new, name, stored), ends)
        except RejectedQueryError as error:
            self._disable(f"weak hashes cannot be replaced: {error}")
        except UnavailableError:
            pass  # of a thread, or of the database; the next login tries again
        else:
            self._note(1)

    def _disable(self, problem: str) -> None:
        if not self._disabled:
            self._disabled = True
            self._warn(problem)
