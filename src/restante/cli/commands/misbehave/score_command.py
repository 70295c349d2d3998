"""`pop3 misbehave score`."""

from __future__ import annotations

import asyncio
import fnmatch
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from restante.cli.errors import CommandFailed
from restante.cli.options.values import FilePath, Seconds
from restante.cli.output.progress import Progress
from restante.cli.output.terminal import plain, plain_lines
from restante.cli.program import INTERRUPTED
from restante.system_errors import explain, explain_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from restante.misbehave import Fault
    from restante.misbehave.score.runner import Card, ScoreRun

NOT_CLEAN, USAGE = 1, 2
SECONDS, MEMORY, JOBS = 20.0, 1024, 2


class FileToWrite(FilePath):
    """A path in a folder that exists: without one, the card of a long run could not be written."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Return the path. Raises click.BadParameter."""
        path = Path(super().convert(value, param, ctx))
        if not os.path.isdir(path.parent):
            self.fail(f"{plain(str(path.parent))} is not a folder", param, ctx)
        return path


WRITABLE = FileToWrite(path_type=Path, dir_okay=False, writable=True)


@click.command(name="score")
@click.argument("client", nargs=-1, metavar="-- COMMAND...")
@click.option("--only", multiple=True, metavar="PATTERN",
              help="Run only these faults, such as 'retr-*'; may be repeated.")  # fmt: skip
@click.option("--without", multiple=True, type=click.Choice(["stls", "tls"]),
              help="Skip the faults of STLS, or of TLS; may be repeated.")  # fmt: skip
@click.option("--jobs", type=click.IntRange(1, 64), default=JOBS, metavar="N",
              help=f"Run the client N times at once.  [default: {JOBS}]")  # fmt: skip
@click.option("--time", "seconds", type=Seconds(), default=SECONDS, metavar="SECONDS",
              help=f"End the client after this time.  [default: {SECONDS:.0f}]")  # fmt: skip
@click.option("--memory", type=click.IntRange(0), default=MEMORY, metavar="MIB",
              help="Give the client that much address space, 0 for no limit.  "
                   f"[default: {MEMORY}]")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the card as JSON.")
@click.option("--junit", type=WRITABLE, metavar="FILE", help="Write the card as JUnit's XML, too.")
@click.option("--html", type=WRITABLE, metavar="FILE", help="Write a page with a picture, too.")
def command(  # noqa: PLR0913  # one for each option
    client: tuple[str, ...],
    *,
    only: tuple[str, ...],
    without: tuple[str, ...],
    jobs: int,
    seconds: float,
    memory: int,
    as_json: bool,
    junit: Path | None,
    html: Path | None,
) -> None:
    """Run a client at every fault, and judge its result.

    COMMAND fetches all messages, deletes each of them, and exits with 0. {host} and {port} in its
    words are where the server is, {user} and {password} its account, and {out} is an empty
    Maildir. {stls:TEXT} is TEXT where the client must use STLS, and {tls:TEXT} where it must use
    TLS from the first octet. {cafile} is the certificate to trust. Set the client's own time limits
    to less than half of --time. COMMAND runs in another folder, so write paths in it in full.
    """
    from restante.misbehave.score import client_process, runner

    faults = _choose(only)
    limits = client_process.Limits(seconds, memory * client_process.MIB)
    run = runner.ScoreRun(client, limits, jobs, without)  # type: ignore[arg-type]  # of a Choice
    try:
        card = _run(run, faults)
    except ValueError as error:
        raise click.UsageError(plain_lines(str(error))) from None
    except OSError as error:
        text = f"cannot run {plain(client[0])}: {explain(error)}"
        raise CommandFailed(text, USAGE) from None
    except KeyboardInterrupt:
        raise CommandFailed("Interrupted; the client has been ended.", INTERRUPTED) from None
    try:
        _show(card, as_json=as_json)
    finally:  # neither a full disk of the output nor one of the files loses the run
        _write(card, junit, html)
    click.get_current_context().exit(0 if card.clean == len(card.outcomes) else NOT_CLEAN)


def _choose(only: tuple[str, ...]) -> list[Fault]:
    """Return the faults to run. Raises click.UsageError: a pattern matches none."""
    from restante.misbehave.finding import FAULTS, NAMED

    chosen = set() if only else set(FAULTS)
    for pattern in only:
        names = fnmatch.filter(NAMED, pattern)
        if not names:
            text = f"no fault matches {pattern!r}; `pop3 misbehave list` names all"
            raise click.UsageError(text)
        chosen.update(names)
    return [fault for name, fault in NAMED.items() if name in chosen]


def _run(run: ScoreRun, faults: Sequence[Fault]) -> Card:
    from restante.server.system.process import loop_factory

    done = 0
    with Progress("Running the client") as progress:

        def count(_outcome: object) -> None:
            nonlocal done
            done += 1
            progress.update(done, len(faults))

        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            return runner.run(run.run(faults, count))


def _write(card: Card, junit: Path | None, html: Path | None) -> None:
    from restante.misbehave.score import picture, report

    texts = {}
    if junit:
        texts[junit] = report.as_junit(card)
    if html:
        texts[html] = picture.as_html(card)
    for path, text in texts.items():
        try:
            with open(path, "w", encoding="utf-8", opener=_open_now) as file:
                file.write(text)
        except OSError as error:
            raise CommandFailed(f"cannot write {explain_path(path, error)}", USAGE) from None


def _open_now(path: str, flags: int) -> int:
    """Open a file, or a pipe if a program reads it: without one, the call would wait for ever."""
    descriptor = os.open(path, flags | os.O_NONBLOCK, 0o666)
    os.set_blocking(descriptor, True)
    return descriptor


def _show(card: Card, *, as_json: bool) -> None:
    from restante.misbehave.score import report

    if as_json:
        from restante.protocol.text import to_json

        click.echo(to_json(report.as_json(card), indent=2))
        return
    names = [outcome.fault.name for outcome in card.outcomes if outcome.findings]
    for line in report.table(card, max(map(len, names), default=0)):
        click.echo(line)
    if skipped := report.describe_skipped(card):
        click.echo(skipped)
    good = card.clean == len(card.outcomes)
    click.secho(report.summary(card), fg="green" if good else "red", bold=True)
