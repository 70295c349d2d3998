"""`pop3 store check`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from restante.cli.commands.store.configuration import cluster_settings
from restante.cli.commands.store.parts import ClusterParts, run_with_parts
from restante.cli.options.server import read_config_option
from restante.protocol.text import to_json

if TYPE_CHECKING:
    from pathlib import Path

    from restante.storage.cluster.check.problems import Problem


LATER = "if it is not mail that arrives now, run this again in 15 minutes"


@click.command("check")
@read_config_option
@click.option("--repair", is_flag=True, help="Repair what can be repaired without a loss.")
@click.option("--all", "every_size", is_flag=True, help="Read every message to check its size.")
@click.option("--json", "as_json", is_flag=True, help="Print each problem as a line of JSON.")
def command(file: Path, *, repair: bool, every_size: bool, as_json: bool) -> None:
    """Compare messages, counters and bodies with each other.

    The servers can run meanwhile. With --repair, counters are corrected, and bodies without a
    message, which a failover can leave, become messages again. Exits with 0 if everything agrees or
    was repaired, else with 1.
    """
    from restante.cli.output.progress import Progress
    from restante.storage.cluster.check.checker import MailCheck, estimate_work

    found = left = recent = 0

    async def check(parts: ClusterParts) -> None:
        nonlocal found, left, recent
        total = await estimate_work(parts.database, every_size=every_size)
        with Progress("checking") as progress:
            made = MailCheck(
                parts.database,
                parts.bodies,
                repair=repair,
                on_progress=lambda done: progress.update(min(done, total), total),
            )
            async for problem in made.run(every_size=every_size):
                found += 1
                left += not problem.repaired
                progress.clear()
                _show(parts.name, problem, as_json=as_json)
            recent += made.recent

    run_with_parts(cluster_settings(file), check, headings=not as_json)
    if not as_json:
        click.echo(_summarize(found, left, repair=repair))
    if recent:
        click.echo(
            f"Left out: bodies of the last 15 minutes without a message: {recent}; {LATER}",
            err=True,
        )
    if left:
        raise click.exceptions.Exit(1)


def _show(database: str, problem: Problem, *, as_json: bool) -> None:
    from restante.cli.output.terminal import plain

    if as_json:
        click.echo(to_json({"database": database, **problem._asdict()}))
        return
    whose = f"{problem.owner}: " if problem.owner else ""
    click.echo(plain(f"{whose}{problem.text}{' (repaired)' if problem.repaired else ''}"))


def _summarize(found: int, left: int, *, repair: bool) -> str:
    from restante.diagnosis.wording import quantity

    if not found:
        return "Everything agrees."
    if repair:
        return f"{quantity(found, 'problem')}, {found - left} repaired."
    return f"{quantity(found, 'problem')}. --repair repairs what it can without a loss."
