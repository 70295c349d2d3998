"""`pop3 store sweep`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from restante.cli.commands.store.configuration import cluster_settings
from restante.cli.commands.store.parts import ClusterParts, run_with_parts
from restante.cli.options.server import read_config_option
from restante.cli.output.results import Results
from restante.protocol.text import to_json

if TYPE_CHECKING:
    from pathlib import Path


@click.command("sweep")
@read_config_option
@click.option(
    "--json", "as_json", is_flag=True, help="Print the counts of each database as a line of JSON."
)
def command(file: Path, *, as_json: bool) -> None:
    """Delete the bodies in the object store that no message has any more.

    A body is deleted `grace` seconds after its message. Bodies that never had a message are marked
    first, and deleted `grace` seconds later. The servers do this once an hour, but list only a part
    of the bodies each time.
    """
    from restante.storage.cluster.peers import require_same_clock
    from restante.storage.cluster.sweep import Sweep

    settings = cluster_settings(file)
    if not any(each.objects for each in (settings, *settings.shards.values())):
        raise click.ClickException(
            "there is nothing to sweep: without cluster.objects, all bodies are in the database"
        )

    async def sweep(parts: ClusterParts) -> None:
        if parts.bodies is None:
            return
        await require_same_clock(parts.database)
        swept = await Sweep(parts.database, parts.bodies, settings.grace).run(sys.maxsize)
        if as_json:
            results.echo(to_json({"database": parts.name, **swept._asdict()}))
            return
        results.echo(f"Bodies deleted: {swept.deleted}")
        marked = f"marked, since no message has them: {swept.marked}"
        results.echo(f"Bodies listed: {swept.listed}; {marked}")
        results.echo(f"Bodies that wait for the end of their grace: {swept.waiting}")

    with Results() as results:
        run_with_parts(settings, sweep, headings=not as_json)
