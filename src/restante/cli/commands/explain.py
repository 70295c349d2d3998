"""`pop3 explain`."""

from __future__ import annotations

import difflib
import textwrap

import click


@click.command()
@click.argument("id", required=False)
def explain(id: str | None) -> None:  # noqa: A002  # the argument's name on the screen
    """Explain an id of `pop3 check`, with its causes and fixes.

    Without ID, list all ids.
    """
    from restante.diagnosis.explanations import EXPLANATIONS

    if id is None:
        for row in EXPLANATIONS.values():
            click.echo(f"{row.id:<19} {row.verdict}")
        return
    found = EXPLANATIONS.get(id.lower())
    if found is None:
        near = difflib.get_close_matches(id, EXPLANATIONS, 3)
        hint = f"; did you mean {' or '.join(near)}?" if near else "; `pop3 explain` lists all ids"
        raise click.UsageError(f"unknown id {id!r}{hint}")
    click.echo(f"{found.id}: {found.verdict}\n")
    parts = [("why", found.why), ("admin", found.admin), ("you", found.you), ("more", found.more)]
    for label, text in parts:
        if text:
            click.echo(
                textwrap.fill(text, 76, initial_indent=f"  {label:<6} ", subsequent_indent=" " * 9)
            )
    exit_code = f"{found.exit}" if found.exit == 1 else f"{found.exit}, as a warning 1"
    click.echo(f"  {'exit':<6} {exit_code}")
