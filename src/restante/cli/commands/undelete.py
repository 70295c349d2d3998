"""`pop3 undelete`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

import click

from restante.cli.errors import configuration_error_reporting
from restante.cli.options.account_names import AccountName
from restante.cli.options.server import read_config_option
from restante.cli.options.times import Moment
from restante.cli.options.values import TEXT
from restante.cli.output.terminal import plain
from restante.protocol.text import to_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from structlog.typing import FilteringBoundLogger

    from restante.server.config.schema import Config
    from restante.storage.interfaces import Store
    from restante.storage.removals import DeletedMessage


@click.command()
@click.argument("user", type=AccountName())
@read_config_option
@click.option(
    "--since",
    type=Moment(),
    help="Restore only messages removed since this time, such as 2026-11-27T10:30 or 12h.",
)
@click.option(
    "--uid",
    "uids",
    type=TEXT,
    multiple=True,
    metavar="UID",
    help="Restore only the message with this unique-id; may be repeated.",
)
@click.option("--list", "only_list", is_flag=True, help="List the messages, and restore none.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def undelete(  # noqa: PLR0913  # one for each option
    user: str,
    file: Path,
    since: float | None,
    uids: tuple[str, ...],
    *,
    only_list: bool,
    as_json: bool,
) -> None:
    """Restore removed messages of a user.

    A restored message has its old unique-id.

    The server keeps removed messages for the days of `mail.keep_deleted`. Without --since and
    --uid, all of them are restored. The server may run meanwhile, but USER may have no
    session.

    A restored message counts as new for the removal of old mail. With `mail.junk`, USER may be the
    login name of a junk maildrop, such as ann+junk@example.com.

    Exits with 1 if a message could not be restored.
    """
    config, store, log = _load(file)
    found = asyncio.run(
        _run(config, store, log, UndeleteRequest(user, since, uids, restore=not only_list))
    )
    if as_json:
        click.echo(to_json(found.as_json(), indent=2))
    else:
        for line in found.lines(user):
            click.echo(line)
    for problem in found.problems():
        click.echo(problem, err=True)
    if found.left or found.missing:
        raise click.exceptions.Exit(1)


class UndeleteRequest(NamedTuple):
    """The messages to list or restore. `since` are seconds since 1970."""

    user: str
    since: float | None
    uids: Sequence[str]
    restore: bool


class UndeleteResult(NamedTuple):
    """The messages that the command found; `restored` is None if it only listed them."""

    wanted: Sequence[DeletedMessage]
    missing: Sequence[str]  # unique-ids
    restored: Sequence[DeletedMessage] | None

    @property
    def left(self) -> list[DeletedMessage]:
        """The messages that were to be restored, and were not."""
        if self.restored is None:
            return []
        done = {message.uid for message in self.restored}
        return [message for message in self.wanted if message.uid not in done]

    def as_json(self) -> object:
        """Return a list of messages, or two: those restored, and those left."""
        if self.restored is None:
            return list(map(_as_json, self.wanted))
        lists = {"restored": self.restored, "left": self.left}
        return {name: list(map(_as_json, rows)) for name, rows in lists.items()}

    def lines(self, user: str) -> Iterator[str]:
        """Yield the output for people."""
        from restante.cli.output.deleted_table import deleted_table
        from restante.diagnosis import wording

        shown = self.wanted if self.restored is None else self.restored
        if shown:
            yield from deleted_table(shown, with_headers=self.restored is None)
        count = wording.messages(len(shown))
        kept = f"{count} of {plain(user)} can be restored."
        yield kept if self.restored is None else f"{count} of {plain(user)} restored."

    def problems(self) -> Iterator[str]:
        """Yield what went wrong."""
        for message in self.left:
            text = "not restored, because a message in the maildrop has this unique-id"
            yield f"{plain(message.uid)}: {text}"
        for uid in self.missing:
            yield f"{plain(uid)}: no removed message has this unique-id"


async def _run(
    config: Config, store: Store, log: FilteringBoundLogger, request: UndeleteRequest
) -> UndeleteResult:
    """Find the messages, and restore them. Raises click.ClickException."""
    from restante.auth.interfaces import UnavailableError
    from restante.storage.errors import BusyError, StoreError
    from restante.storage.interfaces import open_store
    from restante.storage.removals import KeepsDeleted

    if not isinstance(store, KeepsDeleted):
        raise click.ClickException("this store keeps no removed messages")
    user, since, uids = request.user, request.since or 0, request.uids
    try:
        async with open_store(store):
            owner, problem = await _find_owner(config, user, log)
            kept = await store.list_deleted(owner, headers=not request.restore)
            if problem and not kept:
                text = f"{problem}, and no removed mail of this name is kept"
                raise click.ClickException(plain(text))
            wanted = [
                message
                for message in kept
                if message.removed >= since and (not uids or message.uid in uids)
            ]
            missing = sorted(set(uids) - {message.uid for message in wanted})
            if not request.restore:
                return UndeleteResult(wanted, missing, None)
            restored = await store.undelete(owner, [message.uid for message in wanted])
            return UndeleteResult(wanted, missing, restored)
    except BusyError as error:
        text = f"the mail of {user} is in use ({error}); try again when the session has ended"
        raise click.ClickException(plain(text)) from None
    except (StoreError, UnavailableError) as error:
        raise click.ClickException(plain(str(error))) from None


async def _find_owner(config: Config, user: str, log: FilteringBoundLogger) -> tuple[str, str]:
    """Return the owner of the maildrop that a name means, and a problem with the name, "" for none.

    The name itself is the owner if it has a problem: its account may have been removed.
    """
    from restante.auth.interfaces import UnavailableError
    from restante.cli.options.account_names import UnknownAccountError, find_maildrop
    from restante.cli.options.accounts import closing
    from restante.server.composition import backends
    from restante.server.config.loader import ConfigError

    try:
        accounts = backends.build_accounts(config, log)
        return await closing(accounts, find_maildrop(config, accounts, user)), ""
    except (UnknownAccountError, UnavailableError, ConfigError) as error:
        return user, str(error)


def _load(file: Path) -> tuple[Config, Store, FilteringBoundLogger]:
    """Return a configuration, its store, and a log. Raises click.UsageError."""
    from restante.server.composition import backends
    from restante.server.config import loader
    from restante.server.log.loggers import command_logger

    log = command_logger()
    with configuration_error_reporting():
        config = loader.load(file, {})
        return config, backends.build_store(config, log), log


def _as_json(message: DeletedMessage) -> dict[str, object]:
    facts: dict[str, object] = {
        "uid": message.uid,
        "octets": message.octets,
        "arrived": _iso(message.arrived),
        "removed": _iso(message.removed),
    }
    if message.header:
        from restante.cli.output.message_summary import summarize

        summary = summarize(message.header)
        facts |= {"from": summary.sender, "subject": summary.subject}
    return facts


def _iso(seconds: float | None) -> str | None:
    from datetime import UTC, datetime

    from restante.storage.removals import calendar_time

    if seconds is None:
        return None
    return datetime.fromtimestamp(calendar_time(seconds), UTC).isoformat()
