"""`pop3 quota`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from restante.cli.errors import configuration_error_reporting
from restante.cli.options.account_names import AccountName
from restante.cli.options.server import read_config_option
from restante.protocol.text import to_json

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from restante.server.composition.usage_report import AccountUsage
    from restante.server.config.schema import Config

NAME, BAR = 28, 20  # columns


@click.command()
@click.argument("users", metavar="[USER]...", type=AccountName(), nargs=-1)
@read_config_option
@click.option("--json", "as_json", is_flag=True, help="Print each account as a line of JSON.")
@click.option(
    "--recount", is_flag=True, help="Count all messages anew, instead of adding up what changed."
)
def quota(users: tuple[str, ...], file: Path, *, as_json: bool, recount: bool) -> None:
    """Show how much of its quota each USER has used, or each account.

    An account without a quota has only its usage.
    """
    from restante.server.config import loader

    with configuration_error_reporting():
        asyncio.run(_show(loader.load(file, {}), users, as_json=as_json, recount=recount))


async def _show(config: Config, users: Sequence[str], *, as_json: bool, recount: bool) -> None:
    """Print a line for each account."""
    from restante.auth.interfaces import UnavailableError
    from restante.cli.options.account_names import find_account
    from restante.cli.output.terminal import plain
    from restante.server.composition import backends
    from restante.server.composition.usage_report import list_usage
    from restante.server.log.loggers import command_logger
    from restante.storage.errors import StoreError
    from restante.storage.interfaces import Knows, open_store

    log = command_logger()
    store, accounts = backends.build_store(config, log), backends.build_accounts(config, log)
    line = _format_json if as_json else _format_line
    try:
        async with open_store(store):
            mail = store if isinstance(store, Knows) else None
            names = [await find_account(config, accounts, user, mail) for user in users]
            async for account in list_usage(config, store, accounts, names, recount=recount):
                click.echo(plain(line(account)))
    except (UnavailableError, StoreError) as error:
        raise click.ClickException(str(error)) from None


def _format_json(account: AccountUsage) -> str:
    return to_json(
        {
            "user": account.user,
            "octets": account.usage.octets,
            "messages": account.usage.messages,
            "quota_octets": account.quota.octets,
            "quota_messages": account.quota.messages,
            "percent": account.quota.percent(account.usage) if account.quota.is_limited else None,
        }
    )


def _format_line(account: AccountUsage) -> str:
    """Return the name, a bar, and the figures of an account."""
    from restante.cli.output.units import fill
    from restante.diagnosis import wording

    usage, quota = account.usage, account.quota
    octets, messages = wording.octets(usage.octets), wording.messages(usage.messages)
    if not quota.is_limited:
        return f"{fill(account.user, NAME)} {'no quota':<{BAR + 8}} {octets}, {messages}"
    percent = quota.percent(usage)
    full = min(BAR, percent * BAR // 100)
    bar = "#" * full + "-" * (BAR - full)
    if quota.octets is not None:
        octets += f" of {wording.octets(quota.octets)}"
    if quota.messages is not None:
        messages = f"{usage.messages} of {wording.messages(quota.messages)}"
    return f"{fill(account.user, NAME)} [{bar}] {percent:>3} % {octets}, {messages}"
