"""`pop3 store init`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from restante.cli.commands.store.configuration import cluster_settings, config_option

if TYPE_CHECKING:
    from pathlib import Path


@click.command("init")
@config_option
def command(file: Path) -> None:
    """Create or upgrade the tables of a cluster's database.

    All changes are made in one transaction. If there is nothing to change, nothing happens.
    """
    from restante.storage.cluster import schema
    from restante.storage.interfaces import StoreError

    settings = cluster_settings(file)
    try:
        applied = asyncio.run(schema.initialize(settings.dsn, pooler=settings.pooler))
    except StoreError as error:
        raise click.ClickException(f"the tables cannot be created: {error}") from None
    version = schema.newest_version()
    if applied:
        click.echo(f"The database has the tables of version {version} now.")
    else:
        click.echo(f"The database already has the tables of version {version}.")
