"""`pop3 misbehave list`."""

from __future__ import annotations

import fnmatch

import click


@click.command(name="list")
@click.argument("pattern", default="*")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(pattern: str, *, as_json: bool) -> None:
    """List the faults whose names match PATTERN, such as 'retr-*'.

    'smtp-*' lists the faults of SMTP, which `pop3 dev --fault` switches on.
    """
    if pattern.startswith("smtp"):
        _list_smtp(pattern, as_json=as_json)
        return
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
    _print_table(pattern, {fault.name: fault.sentence for fault in found})


def _list_smtp(pattern: str, *, as_json: bool) -> None:
    from restante.misbehave.smtp.catalogue import SMTP_FAULTS

    found = [one for name, one in SMTP_FAULTS.items() if fnmatch.fnmatchcase(name, pattern)]
    if as_json:
        import json

        rows = [
            {
                "name": fault.name,
                "server": fault.sentence,
                "good_client": fault.good_client,
                "seen": fault.seen,
            }
            for fault in found
        ]
        click.echo(json.dumps(rows, indent=2))
        return
    _print_table(pattern, {fault.name: fault.sentence for fault in found})


def _print_table(pattern: str, found: dict[str, str]) -> None:
    """Print names and sentences. Raises click.UsageError: there are none."""
    if not found:
        raise click.UsageError(f"no fault matches {pattern!r}; `pop3 misbehave list` names all")
    widest = max(map(len, found))
    for name, sentence in found.items():
        click.echo(f"{name:<{widest}}  {sentence}")
