"""`pop3 expire`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from restante.cli.errors import configuration_error_reporting
from restante.cli.options.server import read_config_option
from restante.cli.output.results import Results

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@read_config_option
@click.option("--dry-run", is_flag=True, help="List the messages to remove, but remove nothing.")
def expire(file: Path, *, dry_run: bool) -> None:
    """Remove mail that is older than the configuration allows.

    A running server does this once an hour. Exits with 1 if a maildrop could not be processed.
    Maildrops in use are skipped.
    """
    from restante.diagnosis import wording
    from restante.junk import account_of, is_junk, with_suffix
    from restante.server.composition import components
    from restante.server.config import loader
    from restante.server.log.loggers import command_logger
    from restante.storage.errors import StoreError
    from restante.storage.interfaces import open_store

    with configuration_error_reporting():
        loaded = loader.load(file, {})
        context = components.build_context(loaded, command_logger())
        expiry = components.build_expiry(loaded, context)
        if expiry is None:
            raise click.ClickException(
                f"cannot remove old mail: expiry requires {components.LISTED}"
            )
    word = "would be removed" if dry_run else "removed"

    async def count_expired(results: Results) -> int:
        count = 0
        async with open_store(context.store):
            async for owner, due in expiry.expire_all(dry_run=dry_run):
                suffix = loaded.mail.junk_suffix if is_junk(owner) else ""
                user = with_suffix(account_of(owner), suffix)
                for message in due:
                    text = f"{message.uid}, {message.days} days, {message.octets} octets"
                    results.echo(f"{user}: {word}: {text}")
                count += len(due)
        return count

    try:
        with Results() as results:
            count = asyncio.run(count_expired(results))
    except StoreError as error:  # it cannot be opened
        raise click.ClickException(str(error)) from None
    if expiry.complete and not expiry.applies:
        raise click.ClickException(
            "expire_days is not set, so no mail expires; set it in the section [mail],"
            " or for an account"
        )
    click.echo(f"{wording.messages(count)} {word}.")
    if not expiry.complete:
        raise click.exceptions.Exit(1)
