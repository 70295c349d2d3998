"""`pop3 undelete`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

import click

from restante.cli.commands.ls import json_option
from restante.cli.options.moment import Moment
from restante.cli.options.server import DEFAULT_CONFIG, FILE
from restante.cli.output.terminal import plain
from restante.protocol.text import to_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from restante.storage.interfaces import Store
    from restante.storage.removals import DeletedMessage


@click.command()
@click.argument("user")
@click.option(
    "-c",
    "--config",
    "file",
    type=FILE,
    default=DEFAULT_CONFIG,
    show_default=True,
    help="Read the configuration from this file.",
)
@click.option(
    "--since",
    type=Moment(),
    help="Only messages that were removed since this time, such as 2026-11-27T10:30, or 12h ago.",
)
@click.option(
    "--uid", "uids", multiple=True, metavar="UID", help="Only this message; may be repeated."
)
@click.option("--list", "only_list", is_flag=True, help="List the messages, and restore none.")
@json_option
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
    --uid, all of them are restored. The server may run meanwhile, but no session of USER.

    Exits with 1 if a message could not be restored.
    """
    store = _build_store(file)
    found = asyncio.run(_run(store, user, since, uids, restore=not only_list))
    if as_json:
        click.echo(to_json(found.as_json(), indent=2))
    else:
        for line in found.lines(user):
            click.echo(line)
    for problem in found.problems():
        click.echo(problem, err=True)
    if found.left or found.missing:
        raise click.exceptions.Exit(1)


class Found(NamedTuple):
    """What the command found, and did; `restored` is None if it only listed."""

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
        from restante.diagnosis import wording

        shown = self.wanted if self.restored is None else self.restored
        if shown:
            yield f"{'removed':16}  {'arrived':16}  {'octets':>9}  unique-id"
        for each in shown:
            times = f"{_time(each.removed):16}  {_time(each.arrived):16}"
            yield f"{times}  {each.octets:>9}  {plain(each.uid)}"
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
    store: Store, user: str, since: float | None, uids: Sequence[str], *, restore: bool
) -> Found:
    """Find the messages, and restore them. Raises click.ClickException."""
    from restante.storage.interfaces import BusyError, StoreError, open_store
    from restante.storage.removals import KeepsDeleted

    if not isinstance(store, KeepsDeleted):
        raise click.ClickException("this store keeps no removed messages")
    try:
        async with open_store(store):
            wanted = [
                message
                for message in await store.list_deleted(user)
                if message.removed >= (since or 0) and (not uids or message.uid in uids)
            ]
            missing = sorted(set(uids) - {message.uid for message in wanted})
            if not restore:
                return Found(wanted, missing, None)
            restored = await store.undelete(user, [message.uid for message in wanted])
            return Found(wanted, missing, restored)
    except BusyError as error:
        text = f"the mail of {user} is in use ({error}); try again when the session has ended"
        raise click.ClickException(plain(text)) from None
    except StoreError as error:
        raise click.ClickException(plain(str(error))) from None


def _build_store(file: Path) -> Store:
    """Return the store of a configuration. Raises click.UsageError."""
    from restante.server.composition import backends
    from restante.server.config import loader
    from restante.server.log import event_log

    log, _ = event_log.configure_log("text", threaded=False)
    try:
        return backends.build_store(loader.load(file, {}), log)
    except loader.ConfigError as error:
        raise click.UsageError("\n  ".join(["Invalid configuration:", *error.problems])) from None


def _as_json(message: DeletedMessage) -> dict[str, object]:
    return {
        "uid": message.uid,
        "octets": message.octets,
        "arrived": _iso(message.arrived),
        "removed": _iso(message.removed),
    }


def _iso(seconds: float | None) -> str | None:
    from datetime import UTC, datetime

    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()


def _time(seconds: float | None) -> str:
    import time

    return "" if seconds is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
