"""Tasks that a server repeats: expiry, certificates, upkeep. Of several workers, one runs them."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from restante.auth.interfaces import CanBeTried, UnavailableError
from restante.auth.wrapped_accounts import unwrap
from restante.server.tasks.deleted_sweep import DeletedSweep
from restante.server.tasks.steady_clock import SteadyClock
from restante.server.tasks.upkeep import StoreUpkeep
from restante.server.tls.certificates import watch_certificates
from restante.storage.interfaces import NeedsUpkeep
from restante.storage.removals import KeepsDeleted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from structlog.typing import FilteringBoundLogger

    from restante.server.context import ServerContext
    from restante.server.tasks.expiry import MailExpiry
    from restante.server.tls.certificates import Certificates

LONGEST_END = 5.0  # seconds that a removal of old mail has to end, and to be logged


@contextlib.asynccontextmanager
async def background_tasks(
    context: ServerContext,
    expiry: MailExpiry | None,
    certificates: Sequence[Certificates],
    clock: SteadyClock | None = None,
) -> AsyncIterator[None]:
    """Remove old mail, watch the certificates and look after the store while the block runs.

    `clock` is the one that removals count by; None for that of the machine.
    """
    works = [watch_certificates(certificates)] if certificates else []
    clock = clock or SteadyClock(context.log)
    if expiry is not None:
        works.append(expiry.run(clock))
    if isinstance(context.store, NeedsUpkeep):
        works.append(StoreUpkeep(context.store, context.log).run())
    if context.keep_deleted is not None and isinstance(context.store, KeepsDeleted):
        works.append(DeletedSweep(context.store, context.keep_deleted, context.log, clock).run())
    source = unwrap(context.authenticator)
    if isinstance(source, CanBeTried):
        works.append(_try_accounts(source, context.log))
    tasks = [asyncio.create_task(work) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=LONGEST_END)


async def _try_accounts(source: CanBeTried, log: FilteringBoundLogger) -> None:
    """Log what is wrong with the source of accounts, before a client or an MTA meets it."""
    try:
        await source.try_source()
    except UnavailableError as error:
        log.warning("accounts", problem=f"{error}; until this is corrected, logins fail")
