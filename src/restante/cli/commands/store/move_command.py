"""`pop3 store move`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from restante.cli.commands.store.configuration import load_cluster
from restante.cli.commands.store.transfer_report import run_transfer
from restante.cli.options.account_names import AccountName
from restante.cli.options.server import read_config_option
from restante.cli.output.progress import Progress
from restante.cli.output.terminal import plain

if TYPE_CHECKING:
    from pathlib import Path

    from restante.server.config.schema import Config
    from restante.storage.cluster import ClusterSettings

PATIENCE = 30.0  # seconds for a session of the user to end


@click.command("move")
@click.argument("user", type=AccountName())
@click.option(
    "--to",
    "target",
    required=True,
    metavar="SHARD",
    help='Move the mail to this database, a name in [cluster.shards] or "first".',
)
@click.option("--new", is_flag=True, help="Place a USER that has neither an account nor mail yet.")
@read_config_option
def command(user: str, target: str, file: Path, *, new: bool) -> None:
    """Move the mail of USER to another database of the cluster.

    USER has an account, or mail that its account left behind.

    The servers can run meanwhile. Until the move ends, USER gets a temporary error, and new mail
    waits at its sender. If the command is killed, run it again. A move back to where the mail was
    cancels one that has not copied everything.
    """
    from restante.auth.file.passwd_file import name_problem

    if new and (problem := name_problem(user)):
        raise click.BadParameter(f"{user!r}: {problem}", param_hint="USER")
    config, settings = load_cluster(file)
    if target != "first" and target not in settings.shards:
        names = ", ".join(["first", *settings.shards])
        raise click.BadParameter(f"expected one of {names}", param_hint="--to")
    owner, moved = run_transfer(_move(config, settings, user, target, new=new))
    if moved:
        click.echo(f"The mail of {plain(owner)} is in the database {target} now.")
    else:
        click.echo(f"The mail of {plain(owner)} already is in the database {target}.")


async def _move(
    config: Config, settings: ClusterSettings, user: str, target: str, *, new: bool
) -> tuple[str, bool]:
    """Move mail, and return its owner, and whether it was elsewhere."""
    from restante.cli.commands.store.owners import find_owner
    from restante.storage.cluster.shards import open_shards
    from restante.storage.cluster.transfer.moving import Move

    async with open_shards(settings) as shards:
        owner, problem = await find_owner(config, shards, user)
        if problem and not new:
            text = f"{problem}, and the cluster has no mail of this name"
            raise click.ClickException(plain(f"{text}; correct it, or place a new user by --new"))
        with Progress("moving") as progress:
            return owner, await Move(shards, owner, target, progress.update).run(PATIENCE)
