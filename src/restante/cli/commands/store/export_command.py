"""`pop3 store export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from restante.cli.commands.store.configuration import load_cluster
from restante.cli.commands.store.transfer_report import TransferReport, run_transfer
from restante.cli.options.account_names import AccountName
from restante.cli.options.server import read_config_option
from restante.cli.options.values import FilePath
from restante.cli.output.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from restante.server.config.schema import Config
    from restante.storage.cluster import ClusterSettings
    from restante.storage.cluster.transfer.transfer import TransferCounts
    from restante.storage.paths import Layout


@click.command("export")
@read_config_option
@click.option(
    "--to",
    "folder",
    required=True,
    type=FilePath(path_type=Path, exists=True, file_okay=False),
    help="Write the Maildirs below this folder, which exists.",
)
@click.option(
    "--layout",
    "template",
    default="{user}",
    show_default=True,
    help="Set the path of each Maildir, as mail.layout does.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
@click.argument("users", metavar="[USER]...", type=AccountName(), nargs=-1)
def command(
    file: Path, folder: Path, template: str, users: tuple[str, ...], *, as_json: bool
) -> None:
    """Export mail of the cluster to Maildirs.

    Without USER, all mail is exported. Unique-ids stay, in the file dovecot-uidlist of each
    Maildir: set unique_ids = "%08Xu%08Xv" to serve them. The cluster can run meanwhile, and further
    exports transfer only the difference. Exits with 1 if something could not be exported.
    """
    from restante.storage.paths import Layout

    try:
        layout = Layout(folder, template)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--layout") from None
    config, settings = load_cluster(file)
    with Progress("exporting") as progress:
        report = TransferReport(progress)
        counts = run_transfer(_export(config, settings, layout, users, report))
    report.finish(counts, as_json=as_json)


async def _export(
    config: Config,
    settings: ClusterSettings,
    layout: Layout,
    users: Sequence[str],
    report: TransferReport,
) -> TransferCounts:
    from restante.cli.commands.store.owners import find_owner
    from restante.storage.cluster.shards import find_shard, open_shards
    from restante.storage.cluster.transfer.exporting import MaildropExport, find_places
    from restante.storage.cluster.transfer.transfer import Transfer
    from restante.storage.maildir.exported import ExportedMaildir

    async with open_shards(settings) as shards:
        owners = [(await find_owner(config, shards, user))[0] for user in users]
        places = {owner: await find_shard(shards, owner) for owner in owners}
        if not users:
            places = await find_places(shards, report.report)
        report.maildrops = len(places)
        transfer = Transfer(
            lambda owner: MaildropExport(
                places[owner].database,
                places[owner].bodies,
                lambda owner: ExportedMaildir.open(layout, owner),
                owner,
                report.report,
            ),
            report.report,
            report.show,
        )
        await transfer.run(list(places), 0)
    return transfer.counts
