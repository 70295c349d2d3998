"""The output of `pop3 store import` and `pop3 store export`: progress, problems and counts."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING, TypeVar

import click

from restante.cli.errors import CommandFailed
from restante.cli.output.terminal import plain
from restante.cli.program import INTERRUPTED
from restante.protocol.text import to_json

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from restante.cli.output.progress import Progress
    from restante.storage.cluster.transfer.transfer import TransferCounts

T = TypeVar("T")


def run_transfer(transfer: Coroutine[None, None, T]) -> T:
    """Return what a transfer returns. Raises ClickException: the cluster cannot be used."""
    from restante.storage.errors import StoreError

    try:
        return asyncio.run(transfer)
    except StoreError as error:
        raise click.ClickException(f"{error}; run the command again") from None
    except KeyboardInterrupt:
        raise CommandFailed("Interrupted; the next run goes on.", INTERRUPTED) from None


class TransferReport:
    """Draws on standard error while maildrops are transferred, and prints the counts at the end."""

    def __init__(self, progress: Progress, maildrops: int = 0) -> None:
        self.problems = 0
        self._progress = progress
        self.maildrops = maildrops

    def report(self, problem: str) -> None:
        """Name at once what could not be transferred."""
        self.problems += 1
        self._progress.clear()
        click.echo(plain(problem), err=True)

    def show(self, counts: TransferCounts) -> None:
        """Show how far the transfer is."""
        self._progress.update(counts.maildrops, self.maildrops)

    def finish(self, counts: TransferCounts, *, as_json: bool) -> None:
        """Print the counts. Raises Exit with 1: there was a problem."""
        counts.problems = self.problems
        click.echo(to_json(dataclasses.asdict(counts)) if as_json else _sentence(counts))
        if self.problems:
            raise click.exceptions.Exit(1)


def _sentence(counts: TransferCounts) -> str:
    from restante.diagnosis.wording import messages, octets, quantity

    text = (
        f"{quantity(counts.maildrops, 'maildrop')}: {messages(counts.added)} added"
        f" ({octets(counts.octets)}), {counts.removed} removed, {counts.present} already there."
    )
    if counts.problems:
        text += f" {quantity(counts.problems, 'problem')}: see above, and run the command again."
    return text
