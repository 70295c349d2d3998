"""Tasks that a server repeats: expiry and certificates. Of several workers, one runs them."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from restante.server.tls.certificates import watch_certificates

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from restante.server.expiry import MailExpiry
    from restante.server.tls.certificates import Certificates


@contextlib.asynccontextmanager
async def background_tasks(
    expiry: MailExpiry | None, certificates: Sequence[Certificates]
) -> AsyncIterator[None]:
    """Remove old mail and watch the certificates while the block runs."""
    works = [watch_certificates(certificates)] if certificates else []
    if expiry is not None:
        works.append(expiry.run())
    tasks = [asyncio.create_task(work) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
