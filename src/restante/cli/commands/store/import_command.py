"""`pop3 store import`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from restante.cli.commands.store.configuration import cluster_settings
from restante.cli.commands.store.transfer_report import TransferReport, run_transfer
from restante.cli.errors import configuration_error_reporting
from restante.cli.options.account_names import AccountName
from restante.cli.options.server import read_config_option
from restante.cli.options.values import FilePath
from restante.cli.output.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from structlog.typing import FilteringBoundLogger

    from restante.server.config.schema import Config
    from restante.storage.cluster import ClusterSettings
    from restante.storage.cluster.transfer.transfer import TransferCounts
    from restante.storage.interfaces import Store


@click.command("import")
@read_config_option
@click.option(
    "--from",
    "source",
    required=True,
    type=FilePath(path_type=Path),
    metavar="FILE",
    help="Import the mail of the server with this configuration.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
@click.argument("users", metavar="[USER]...", type=AccountName(), nargs=-1)
def command(file: Path, source: Path, users: tuple[str, ...], *, as_json: bool) -> None:
    """Import Maildirs or mboxes into the cluster.

    Without USER, all maildrops are imported. Unique-ids, order, sizes and dates stay. The old
    server can run meanwhile, and further imports transfer only the difference. Exits with 1 if
    something could not be imported.
    """
    from restante.server.composition import backends
    from restante.server.config import loader
    from restante.server.log.loggers import command_logger

    settings = cluster_settings(file)
    with configuration_error_reporting():
        config = loader.load(source, {})
        if config.mail.format == "cluster":
            raise click.UsageError(
                f"{source}: its mail is in a cluster; --from requires Maildirs or mboxes"
            )
        log = command_logger()
        store = backends.build_store(config, log)
    problems: list[str] = []
    with configuration_error_reporting():
        owners = _find_owners(config, users, log, problems.append)
        with Progress("importing") as progress:
            report = TransferReport(progress, len(owners))
            for problem in problems:
                report.report(problem)
            counts = run_transfer(_import(settings, store, owners, config.timeouts.lock, report))
    report.finish(counts, as_json=as_json)


async def _import(
    settings: ClusterSettings,
    source: Store,
    owners: Sequence[str],
    patience: float,
    report: TransferReport,
) -> TransferCounts:
    from restante.storage.cluster.shards import open_shards
    from restante.storage.cluster.transfer.import_target import ShardedImportTarget
    from restante.storage.cluster.transfer.importing import MaildropImport
    from restante.storage.cluster.transfer.transfer import Transfer
    from restante.storage.interfaces import open_store

    async with open_shards(settings) as shards, open_store(source):
        target = ShardedImportTarget(shards)
        transfer = Transfer(
            lambda owner: MaildropImport(source, target, owner, report.report),
            report.report,
            report.show,
        )
        await transfer.run(owners, patience)
    return transfer.counts


def _find_owners(
    config: Config,
    users: Sequence[str],
    log: FilteringBoundLogger,
    report: Callable[[str], None],
) -> list[str]:
    """Return the users whose mail is imported. Raises ConfigError."""
    from restante.server.composition.owners import find_owners

    owners = users or find_owners(config, log, lambda place, why: report(f"{place}: {why}"))
    return list(dict.fromkeys(owners))
