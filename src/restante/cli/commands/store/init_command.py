"""`pop3 store init`."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING

import click

from restante.cli.commands.store.configuration import cluster_settings
from restante.cli.commands.store.parts import ClusterParts, connect_bodies, run_with_parts
from restante.cli.options.server import read_config_option

if TYPE_CHECKING:
    from pathlib import Path


@click.command("init")
@read_config_option
def command(file: Path) -> None:
    """Create or upgrade the tables of a cluster's databases.

    All changes are made in one transaction. If there is nothing to change, nothing happens. Then
    the settings of the databases and the object store are tried, with a warning for each problem.
    """
    from restante.storage.cluster import schema, startup
    from restante.storage.cluster.settings import FIRST
    from restante.storage.errors import StoreError

    settings = cluster_settings(file)
    connect_bodies(settings)  # a mistake is reported before anything changes
    version = schema.newest_version()
    waits = functools.cache(_report_wait)  # once
    for name, each in {FIRST: settings, **settings.shards}.items():
        which = f"database {name}" if settings.shards else "database"
        try:
            made = schema.initialize(each.dsn, pooler=each.pooler, on_wait=waits)
            applied = asyncio.run(made)
        except StoreError as error:
            text = f"the tables of the {which} cannot be created: {error}"
            raise click.ClickException(text) from None
        if applied:
            click.echo(f"The {which} has the tables of version {version} now.")
        else:
            click.echo(f"The {which} already has the tables of version {version}.")

    async def warn(parts: ClusterParts) -> None:
        for fault in await startup.find_faults(parts.database, parts.bodies):
            click.echo(f"Warning: {fault}", err=True)

    run_with_parts(settings, warn)


def _report_wait() -> None:
    click.echo(
        "Waiting for another transaction, such as a backup, that uses the tables. The nodes can"
        " use them, too, meanwhile.",
        err=True,
    )
