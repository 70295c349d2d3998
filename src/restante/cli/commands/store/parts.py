"""The databases of a cluster that the commands of `pop3 store` look after, one after the other."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from restante.cli.output.results import Results

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine

    from restante.storage.cluster import ClusterSettings
    from restante.storage.cluster.bodies import ObjectBodies
    from restante.storage.cluster.database import Database


class ClusterParts(NamedTuple):
    """One of the databases, and its bodies outside, if there are any."""

    name: str
    database: Database
    bodies: ObjectBodies | None


def run_with_parts(
    settings: ClusterSettings,
    work: Callable[[ClusterParts], Awaitable[object]],
    *,
    headings: bool = False,
) -> None:
    """Do some work on each database, which is open and has its tables.

    Several databases are named one by one: with `headings` as a part of the output, else on
    standard error. Raises click.exceptions.Exit with 1: one has failed. Raises UsageError.
    """
    bodies = connect_bodies(settings)

    async def run(name: str, each: ClusterSettings) -> None:
        async with open_database(each) as database:
            if settings.shards:
                results.echo(f"Database {name}:", err=not headings)
            await work(ClusterParts(name, database, bodies[name]))

    with Results() as results:
        run_with_each(settings, run)


def run_with_each(
    settings: ClusterSettings, run: Callable[[str, ClusterSettings], Coroutine[Any, Any, None]]
) -> None:
    """Run a task for each database. If one fails, the others have their turn.

    Raises click.exceptions.Exit with 1: one has failed.
    """
    from restante.storage.cluster.settings import FIRST
    from restante.storage.errors import StoreError

    failed = False
    for name, each in {FIRST: settings, **settings.shards}.items():
        try:
            asyncio.run(run(name, each))
        except StoreError as error:
            failed = True
            click.echo(f"Error: {f'database {name}: ' if settings.shards else ''}{error}", err=True)
    if failed:
        raise click.exceptions.Exit(1)


@contextlib.asynccontextmanager
async def open_database(settings: ClusterSettings) -> AsyncIterator[Database]:
    """Open one database while the block runs. Raises StoreError: it has no tables, or others."""
    from restante.storage.cluster.database import Database
    from restante.storage.cluster.schema import require_version

    database = Database(
        settings.dsn,
        connections=settings.connections,
        pooler=settings.pooler,
        patience=settings.patience,
    )
    try:
        await require_version(database)
        yield database
    finally:
        await database.aclose()


def connect_bodies(settings: ClusterSettings) -> dict[str, ObjectBodies | None]:
    """Return the bodies of each database outside, None for none; nothing is sent to them yet.

    Raises click.UsageError: the settings of an object store are invalid.
    """
    from restante.storage.cluster.settings import FIRST

    databases = {FIRST: settings, **settings.shards}
    return {name: _bodies_of(name, each) for name, each in databases.items()}


def _bodies_of(name: str, settings: ClusterSettings) -> ObjectBodies | None:
    from restante.storage.cluster.bodies import ObjectBodies
    from restante.storage.cluster.settings import FIRST

    if not settings.objects:
        return None
    try:
        return ObjectBodies(settings.objects, settings.objects_secret)
    except ValueError as error:
        key = "cluster.objects" if name == FIRST else f"cluster.shards.{name}.objects"
        raise click.UsageError(f"Invalid configuration:\n  {key}: {error}") from None
