"""`pop3 store move`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from restante.cli.commands.store.configuration import cluster_settings, config_option
from restante.cli.commands.store.transfer_report import run_transfer
from restante.cli.output.progress import Progress

if TYPE_CHECKING:
    from pathlib import Path

    from restante.storage.cluster import ClusterSettings

PATIENCE = 30.0  # seconds for a session of the user to end


@click.command("move")
@click.argument("user")
@click.option(
    "--to",
    "target",
    required=True,
    metavar="SHARD",
    help='Move the mail to this database, a name in [cluster.shards] or "first".',
)
@config_option
def command(user: str, target: str, file: Path) -> None:
    """Move the mail of USER to another database of the cluster.

    The servers can run meanwhile. Until the move ends, USER gets a temporary error, and new mail
    waits at its sender. If the command is killed, run it again. A move back to where the mail was
    cancels one that has not copied everything.
    """
    settings = cluster_settings(file)
    if target != "first" and target not in settings.shards:
        names = ", ".join(["first", *settings.shards])
        raise click.BadParameter(f"expected one of {names}", param_hint="--to")
    with Progress("moving") as progress:
        moved = run_transfer(_move(settings, user, target, progress))
    if moved:
        click.echo(f"The mail of {user} is in the database {target} now.")
    else:
        click.echo(f"The mail of {user} already is in the database {target}.")


async def _move(settings: ClusterSettings, user: str, target: str, progress: Progress) -> bool:
    from restante.storage.cluster.shards import open_shards
    from restante.storage.cluster.transfer.moving import move_mail

    async with open_shards(settings) as shards:
        return await move_mail(shards, user, target, progress.update, PATIENCE)
