"""The kill matrix of `pop3 fetch` at length: each destination, each call.

`python -m faults.fetch.campaign [PLACE...]`, or `make fetch-faults PLACE=mbox`, prints a row for
each destination, and what happened where something was wrong.
"""

from __future__ import annotations

import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import click

from faults.fetch.matrix import Row, Scenario, Trials
from faults.fetch.places import PLACES
from faults.fetch.programs import Restante
from restante import testing


@click.command()
@click.argument("places", nargs=-1, type=click.Choice([*PLACES]))
@click.option("--every", default=1, help="Kill at each N-th point only.")
@click.option(
    "--scenario", type=click.Choice(Scenario, case_sensitive=False), help="All for a Maildir."
)
def main(places: tuple[str, ...], every: int, scenario: Scenario | None) -> None:
    """Kill `pop3 fetch` at each of its calls, and run it again; with all destinations, or some."""
    for place in places or PLACES:
        usual = tuple(Scenario) if place == "maildir" else (Scenario.FETCHING,)
        for chosen in usual if scenario is None else (scenario,):
            begun = time.monotonic()
            row = _row(place, every, chosen)
            _progress("")
            click.echo(f"{row}, {time.monotonic() - begun:.0f} seconds")
            for story in row.stories[:20]:
                click.echo(f"  {story}")


def _row(place: str, every: int, scenario: Scenario) -> Row:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="restante-kills-")))
        server = stack.enter_context(testing.serving())
        destination = stack.enter_context(PLACES[place](folder))
        trials = Trials(server, Restante(destination.rules), destination, folder, scenario)
        return trials.row(trials.points()[::every], lambda text: _progress(f"{place}: {text}"))


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r\x1b[K{text}", nl=False, err=True)


if __name__ == "__main__":
    main()
