"""`pop3 check` and `pop3 probe`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from restante.cli.options.account import (
    AccountCommand,
    account_options,
    account_options_without,
    fill_options,
    parse_account,
)
from restante.cli.options.values import Seconds
from restante.protocol.text import to_json

if TYPE_CHECKING:
    from restante.client.discovery.lookup import OtherDomainError
    from restante.diagnosis.request import CheckRequest

_json_option = click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
_silent_option = click.option("-s", "--silent", is_flag=True, help="Print only the verdict.")


@click.command(cls=AccountCommand)
@click.argument("account")
@click.option("--deep", is_flag=True, help="Fetch every message and compare it with LIST.")
@click.option(
    "--wait",
    type=Seconds(zero=True),
    default=0,
    metavar="SECONDS",
    help="Wait up to this long if the mailbox is locked.",
)
@account_options
@_json_option
@_silent_option
def check(
    account: str, *, deep: bool, wait: float, as_json: bool, silent: bool, **params: Any
) -> None:
    """Find out whether a mail account works and, if not, why.

    The check changes nothing on the server.
    """
    from dataclasses import replace

    from restante.diagnosis.request import TOTAL

    limited = params["max_time"] is not None
    parsed = parse_account(account, params, TOTAL)
    request = parsed.request()
    parsed.add_login(request)
    request.deep, request.wait, request.limited = deep, wait, limited
    request.confirm = _confirm
    if wait and not limited:
        request.options = replace(request.options, total_seconds=TOTAL + wait)
    _examine(request, as_json=as_json, silent=silent)


@click.command(cls=AccountCommand)
@click.argument("server", metavar="HOST")
@account_options_without("user", "oauth", "mechanism")
@_json_option
@_silent_option
def probe(server: str, *, as_json: bool, silent: bool, **params: Any) -> None:
    """Check a server without logging in.

    HOST is a server name, with a port if it is not 995, or an account such as user@domain. No
    password is needed.
    """
    from restante.diagnosis.request import TOTAL

    fill_options(params)
    _examine(
        parse_account(server, params, TOTAL, login=False).request(), as_json=as_json, silent=silent
    )


def _confirm(error: OtherDomainError) -> bool:
    """Ask the user to confirm the server. Few checks ask, so its module is imported here."""
    from restante.cli.options.confirmation import confirm

    return confirm(error)


def _examine(request: CheckRequest, *, as_json: bool, silent: bool) -> None:
    from restante.cli.errors import error_reporting
    from restante.cli.output import check_report
    from restante.cli.output.progress import Progress
    from restante.diagnosis.run import examine

    if not as_json and not silent:
        request.on_step = check_report.show_step
    with error_reporting(), Progress("fetching") as progress:
        report = examine(request, progress.update)
    if as_json:
        click.echo(to_json(report.as_json(), indent=2))
    else:
        check_report.show_verdict(report, login=request.password is not None, silent=silent)
    click.get_current_context().exit(report.exit_code)
