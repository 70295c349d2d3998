"""`pop3 discover`."""

from __future__ import annotations

import dataclasses
import shlex
from typing import TYPE_CHECKING

import click

from restante.cli.errors import error_reporting
from restante.cli.options.values import Seconds
from restante.cli.output.terminal import plain
from restante.cli.output.wrapping import is_terminal, wrap_hanging
from restante.protocol.text import to_json

if TYPE_CHECKING:
    from restante.client.discovery.discover import Candidate, Discovery, DiscoveryNote

SCHEMA = "restante.discovery/1"
NOTHING = 3


@click.command()
@click.argument("address")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option(
    "-m",
    "--max-time",
    type=Seconds(),
    default=10.0,
    metavar="SECONDS",
    help="Limit the time for the whole command.",
)
def discover(address: str, *, as_json: bool, max_time: float) -> None:
    """Find the POP3 server of a mail address.

    The search uses DNS SRV records (RFC 6186), autoconfig and the usual host names.
    """
    from restante.cli.options.account_target import require_address
    from restante.client.discovery.discover import discover

    require_address(address)
    with error_reporting():
        discovery = discover(address, timeout=max_time)
    if as_json:
        click.echo(to_json(_as_json(discovery), indent=2))
    else:
        _show(discovery)
    click.get_current_context().exit(0 if discovery.winner else NOTHING)


def _as_json(discovery: Discovery) -> dict[str, object]:
    return {"schema": SCHEMA, **dataclasses.asdict(discovery)}


def _show(discovery: Discovery) -> None:
    from restante.client.discovery.lookup import is_vouched, not_found_error
    from restante.diagnosis.explanations import explain
    from restante.net.host_names import display_host

    width = max(len(finding.source) for finding in discovery.findings)
    for finding in discovery.findings:
        for line in _lines(finding, width):
            click.echo(line)
    winner = discovery.winner
    if winner is None:
        no = click.style("FAIL", fg="red", bold=True)
        explanation = explain(not_found_error(discovery).id)
        click.echo(f"{no} {explanation.id}  {explanation.verdict}")
        for line in wrap_hanging("  you   ", explanation.you, wrap=is_terminal()):
            click.echo(line)
        if explanation.id == "no-server":
            address = shlex.quote(discovery.address)
            click.echo(f"  next  pop3 check {address} --host NAME, if you know the server")
        return
    ok = click.style("OK", fg="green", bold=True)
    click.echo(f"{ok}  {plain(_where(winner))}  from {plain(winner.source)}")
    for server in discovery.skipped:
        mark = click.style("WARN", fg="yellow", bold=True)
        click.echo(f"{mark} preferred-dead  no connection to {plain(server.host)}:{server.port}")
    if not is_vouched(winner, discovery):
        mark = click.style("WARN", fg="yellow", bold=True)
        text = f"{display_host(winner.host)} is not in {display_host(discovery.domain)}."
        click.echo(f"{mark} other-domain  {plain(text)} Check that it belongs to the provider.")
        click.echo("  more  pop3 explain other-domain")
    click.echo(f"  next  pop3 check {shlex.quote(discovery.address)}")


def _lines(finding: DiscoveryNote, width: int) -> list[str]:
    head = f"  {plain(finding.source):<{width}}  "
    time = f"  {finding.seconds * 1000:.0f} ms"
    if not finding.candidates:
        return wrap_hanging(f"{head}-  ", f"{plain(finding.note)}{time}", wrap=is_terminal())
    lines = [plain(_where(candidate)) for candidate in finding.candidates]
    return [f"{head}{lines[0]}{time}", *(" " * len(head) + line for line in lines[1:])]


def _where(candidate: Candidate) -> str:
    kind = {"implicit": "TLS", "starttls": "STLS", "none": "no TLS"}[candidate.tls]

    from restante.net.host_names import display_host

    return f"{display_host(candidate.host)}:{candidate.port} {kind}, as {candidate.user}"
