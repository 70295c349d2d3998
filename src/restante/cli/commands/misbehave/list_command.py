"""`pop3 misbehave list`."""

from __future__ import annotations

import fnmatch

import click

from restante.protocol.text import to_json


@click.command(name="list")
@click.argument("pattern", default="*")
@click.option("--json", "as_json", is_flag=True, help="Print the faults as JSON.")
def command(pattern: str, *, as_json: bool) -> None:
    """List the faults whose names match PATTERN, such as 'retr-*'.

    'smtp-*' lists the faults of SMTP, which `pop3 dev --fault` switches on.
    """
    rows = _smtp_rows() if pattern.startswith("smtp") else _pop3_rows()
    matching = [row for row in rows if fnmatch.fnmatchcase(str(row["name"]), pattern)]
    if not matching:
        raise click.UsageError(f"no fault matches {pattern!r}; `pop3 misbehave list` names all")
    if as_json:
        click.echo(to_json(matching, indent=2))
        return
    widest = max(len(str(row["name"])) for row in matching)
    for row in matching:
        click.echo(f"{row['name']:<{widest}}  {row['server']}")


def _pop3_rows() -> list[dict[str, object]]:
    from restante.misbehave.finding import NAMED

    return [
        {
            "name": name,
            "server": fault.sentence,
            "good_client": str(fault.good_client),
            "security": fault.security,
            "verdict": list(fault.verdict),
            "seen": fault.seen,
        }
        for name, fault in NAMED.items()
    ]


def _smtp_rows() -> list[dict[str, object]]:
    from restante.misbehave.smtp.catalogue import SMTP_FAULTS

    return [
        {
            "name": name,
            "server": fault.sentence,
            "good_client": fault.good_client,
            "seen": fault.seen,
        }
        for name, fault in SMTP_FAULTS.items()
    ]
