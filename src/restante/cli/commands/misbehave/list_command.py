"""`pop3 misbehave list`."""

from __future__ import annotations

import fnmatch

import click


@click.command(name="list")
@click.argument("pattern", default="*")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(pattern: str, *, as_json: bool) -> None:
    """List the faults whose names match PATTERN, such as 'retr-*'."""
    from restante.misbehave.finding import NAMED

    found = [fault for name, fault in NAMED.items() if fnmatch.fnmatchcase(name, pattern)]
    if as_json:
        import json

        rows = [
            {
                "name": fault.name,
                "server": fault.sentence,
                "good_client": str(fault.good_client),
                "security": fault.security,
                "verdict": list(fault.verdict),
                "seen": fault.seen,
            }
            for fault in found
        ]
        click.echo(json.dumps(rows, indent=2))
        return
    if not found:
        raise click.UsageError(f"no fault matches {pattern!r}; `pop3 misbehave list` names all")
    widest = max(len(fault.name) for fault in found)
    for fault in found:
        click.echo(f"{fault.name:<{widest}}  {fault.sentence}")
