"""`pop3 store init`."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import click

from restante.cli.commands.store.configuration import cluster_settings
from restante.cli.commands.store.parts import connect_bodies, open_database, run_with_each
from restante.cli.options.server import read_config_option
from restante.cli.output.results import Results

if TYPE_CHECKING:
    from pathlib import Path

    from restante.storage.cluster import ClusterSettings


@click.command("init")
@read_config_option
def command(file: Path) -> None:
    """Create or upgrade the tables of a cluster's databases.

    All changes of a database are made in one transaction. If there is nothing to change, nothing
    happens. Then its settings and the object store are tried, with a warning for each problem. If
    a database fails, the others have their turn all the same.
    """
    from restante.storage.cluster import schema, startup
    from restante.storage.errors import StoreError

    settings = cluster_settings(file)
    bodies = connect_bodies(settings)  # a mistake is reported before anything changes
    version = schema.newest_version()
    waits = functools.cache(_report_wait)  # once

    async def initialize(name: str, each: ClusterSettings) -> None:
        try:
            applied = await schema.initialize(each.dsn, pooler=each.pooler, on_wait=waits)
        except StoreError as error:
            raise StoreError(f"the tables cannot be created: {error}") from None
        which = f"database {name}" if settings.shards else "database"
        state = f"has the tables of version {version} now"
        if not applied:
            state = f"already has the tables of version {version}"
        results.echo(f"The {which} {state}.")
        async with open_database(each) as database:
            for fault in await startup.find_faults(database, bodies[name]):
                place = f"{which}: " if settings.shards else ""
                click.echo(f"Warning: {place}{fault}", err=True)

    with Results() as results:
        run_with_each(settings, initialize)


def _report_wait() -> None:
    click.echo(
        "Waiting for another transaction, such as a backup, that uses the tables. The nodes can"
        " use them, too, meanwhile.",
        err=True,
    )
