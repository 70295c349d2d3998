"""`pop3 explain`."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import click

from restante.cli.output.wrapping import is_terminal, line_width, wrap_hanging

if TYPE_CHECKING:
    from restante.misbehave.smtp.fault import SmtpFault

WIDTH = 76  # columns of a text, if the terminal has as many


@click.command()
@click.argument("id", required=False)
def explain(id: str | None) -> None:  # noqa: A002  # the argument's name on the screen
    """Explain an id of `pop3 check`, or a fault of `pop3 misbehave`.

    Without ID, list all ids of `pop3 check`.
    """
    from restante.diagnosis.explanations import EXPLANATIONS

    if id is None:
        for row in EXPLANATIONS.values():
            _print_wrapped(f"{row.id:<19} ", row.verdict)
        return
    explanation = EXPLANATIONS.get(id.lower())
    if explanation is None:
        _explain_fault(id)
        return
    _print_wrapped(f"{explanation.id}: ", explanation.verdict)
    click.echo()
    _print_parts(
        [
            ("why", explanation.why),
            ("admin", explanation.admin),
            ("you", explanation.you),
            ("more", explanation.more),
        ]
    )
    exit_code = (
        f"{explanation.exit}" if explanation.exit == 1 else f"{explanation.exit}, as a warning 1"
    )
    click.echo(f"  {'exit':<6} {exit_code}")


def _explain_fault(id: str) -> None:  # noqa: A002  # see above
    """Explain a fault. Raises UsageError: it is not known."""
    from restante.diagnosis.explanations import EXPLANATIONS
    from restante.misbehave.finding import NAMED
    from restante.misbehave.smtp.catalogue import SMTP_FAULTS
    from restante.near_names import suggest_names

    if id.lower() in SMTP_FAULTS:
        _explain_smtp_fault(SMTP_FAULTS[id.lower()])
        return
    fault = NAMED.get(id.lower())
    if fault is None:
        every = (*EXPLANATIONS, *NAMED, *SMTP_FAULTS)
        hint = suggest_names(id, every, "`pop3 explain` lists all ids")
        raise click.UsageError(f"unknown id {id!r}; {hint}")
    click.echo(f"{fault.name}: a server that {fault.sentence}\n")
    verdicts = " or ".join(fault.verdict)
    parts = [
        ("client", f"A good one {fault.good_client}."),
        ("check", f"{verdicts}, with --deep" if verdicts and fault.deep else verdicts),
        ("seen", fault.seen),
        ("try", f"pop3 misbehave {fault.name}"),
    ]
    _print_parts(parts)


def _explain_smtp_fault(fault: SmtpFault) -> None:
    click.echo(f"{fault.name}: a server of SMTP that {fault.sentence}\n")
    _print_parts(
        [
            ("client", f"A good one {fault.good_client}."),
            ("seen", fault.seen),
            ("try", f"pop3 dev --fault {fault.name}"),
        ]
    )


def _print_parts(parts: list[tuple[str, str]]) -> None:
    for label, text in parts:
        if text:
            width = min(WIDTH, line_width()) if is_terminal() else WIDTH
            click.echo(
                textwrap.fill(
                    text, width, initial_indent=f"  {label:<6} ", subsequent_indent=" " * 9
                )
            )


def _print_wrapped(head: str, text: str) -> None:
    click.echo("\n".join(wrap_hanging(head, text, wrap=is_terminal())))
