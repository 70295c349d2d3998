"""The parts of a cluster that the commands of `pop3 store` look after."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from restante.storage.cluster import ClusterSettings
    from restante.storage.cluster.bodies import ObjectBodies
    from restante.storage.cluster.database import Database

T = TypeVar("T")


class ClusterParts(NamedTuple):
    """The database, and the bodies outside it, if there are any."""

    database: Database
    bodies: ObjectBodies | None


def run_with_parts(settings: ClusterSettings, work: Callable[[ClusterParts], Awaitable[T]]) -> T:
    """Return the result of some work on the parts. Raises ClickException, UsageError."""
    from restante.storage.interfaces import StoreError

    async def run() -> T:
        async with _open_parts(settings) as parts:
            return await work(parts)

    try:
        return asyncio.run(run())
    except StoreError as error:
        raise click.ClickException(str(error)) from None


@contextlib.asynccontextmanager
async def _open_parts(settings: ClusterSettings) -> AsyncIterator[ClusterParts]:
    from restante.storage.cluster.database import Database
    from restante.storage.cluster.schema import require_version

    bodies = _connect_bodies(settings)
    database = Database(
        settings.dsn,
        connections=settings.connections,
        pooler=settings.pooler,
        patience=settings.patience,
    )
    try:
        await require_version(database)
        yield ClusterParts(database, bodies)
    finally:
        await database.aclose()


def _connect_bodies(settings: ClusterSettings) -> ObjectBodies | None:
    if not settings.objects:
        return None
    from restante.storage.cluster.bodies import ObjectBodies

    try:
        return ObjectBodies(settings.objects, settings.objects_secret)
    except ValueError as error:
        raise click.UsageError(f"Invalid configuration:\n  cluster.objects: {error}") from None
