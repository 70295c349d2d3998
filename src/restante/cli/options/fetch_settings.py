"""The settings of `pop3 fetch`: the table [NAME.fetch] of accounts.toml, and the options."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

import click
import msgspec

from restante.cli.options.account_file import (
    find_entry,
    load_entries,
    place_of,
    requiring_home,
)
from restante.cli.options.size import Size
from restante.cli.options.times import parse_duration
from restante.cli.options.values import FilePath
from restante.file_kinds import user_state

state_option = click.option(
    "--state",
    type=FilePath(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Use FILE as the journal.  [default: ~/.local/state/restante/fetch.db]",
)


class ConditionSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The table `if` of a rule: a header field, and what it must have.

    Attributes:
        header: The name of the field, such as "List-Id".
        has: A text within its decoded value, in any case.
        equals: The whole value.
    """

    header: str
    has: str = ""
    equals: str = msgspec.field(default="", name="is")


class RuleSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table [[NAME.fetch.rule]]: for messages with `if`, a destination or a filter.

    Attributes:
        condition: What the header must have; without it, any message matches.
        to: The URL of the destination.
        filter: A command that reads the message and may replace it.
        allow_drop: Let the filter drop messages by exit code 99.
    """

    condition: ConditionSettings | None = msgspec.field(default=None, name="if")
    to: str = ""
    filter: str = ""
    allow_drop: bool = False


class FetchSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The table [NAME.fetch] of accounts.toml says how `pop3 fetch` collects the account.

    Attributes:
        to: The URL of the destination, or several of them. --to replaces it.
        keep: `true` leaves mail at the server; `false` deletes what was delivered; "30d" deletes it
            30 days after it was first seen.
        max_size: The largest message that is fetched: octets, or a text such as "50M".
        big: "headers" delivers the header of a larger message; "leave" delivers nothing of it.
        newest_first: Fetch in the opposite order.
        to_password_command: A command that prints the password of the destination's user. For
            several users, a table of commands by USER@HOST.
        envelope: The header field that has the recipient, such as "X-Original-To".
        addresses: Recipients by the addresses in that field.
        rule: Tables of rules, which choose the destination by the header, in order, or filter.
        notify: A command that runs after a run with new mail, or with another outcome.
        trace: Add Delivered-To and Received on top of each message, with the account and the time.
        doubt: "again" fetches a message again that may have been delivered; "hold" parks it.
    """

    to: str | list[str] = ()  # type: ignore[assignment]  # none: --to has them
    keep: bool | str = True
    max_size: int | str | None = None
    big: Literal["leave", "headers"] = "leave"
    newest_first: bool = False
    to_password_command: str | dict[str, str] = ""
    envelope: str = ""
    addresses: dict[str, str | list[str]] = {}
    trace: bool = False
    doubt: Literal["again", "hold"] = "again"
    rule: list[RuleSettings] = []
    notify: str = ""

    @property
    def destinations(self) -> list[str]:
        """The URLs."""
        return [self.to] if isinstance(self.to, str) else list(self.to)


def read_settings(name: str) -> FetchSettings | None:
    """Return the settings of an account, None without a table. Raises click.UsageError."""
    table = find_entry(name).get("fetch")
    if table is None:
        return None
    try:
        settings = msgspec.convert(table, FetchSettings)
    except msgspec.ValidationError as error:
        place = place_of(name, "fetch", *_path_of(error))
        raise click.UsageError(f"{place}: [{name}.fetch]: {_reason(error)}") from None
    setting = "keep"
    try:
        keep_seconds(settings.keep)
        setting = "max_size"
        if settings.max_size is not None:
            parse_size(settings.max_size)
    except click.UsageError as error:
        place = place_of(name, "fetch", setting)
        raise click.UsageError(f"{place}: [{name}.fetch]: {error.message}") from None
    return settings


def _path_of(error: msgspec.ValidationError) -> list[str]:
    """Return the names of the setting that an error is about, below [NAME.fetch]."""
    unknown = re.search(r"unknown field `([^`]*)`", str(error))
    path = re.search(r"at `\$([^`]*)`", str(error))
    names = re.findall(r"\.(\w+)", path[1]) if path else []
    return [*names, unknown[1]] if unknown else names


def _reason(error: msgspec.ValidationError) -> str:
    """Return what is wrong with a table, with the setting that may have been meant."""
    match = re.search(r"unknown field `([^`]*)`", str(error))
    if match is None:
        return str(error)
    from restante.near_names import suggest_names

    fields = {
        "[NAME.fetch]": msgspec.structs.fields(FetchSettings),
        "a rule": msgspec.structs.fields(RuleSettings),
        "`if` of a rule": msgspec.structs.fields(ConditionSettings),
    }
    tables = {field.encode_name: table for table, some in fields.items() for field in some}
    if match[1] in tables:
        return f"{match[1]} is not a setting here, but of {tables[match[1]]}"
    hint = suggest_names(match[1], tables, "the manual of `pop3 fetch` has all settings", 1)
    return f"{match[1]} is not a setting; {hint}"


def accounts_with_settings() -> list[str]:
    """Return the names of all accounts that have a table [NAME.fetch], in the file's order.

    Raises click.UsageError: the file is invalid.
    """
    entries = load_entries().items()
    return [name for name, entry in entries if isinstance(entry, dict) and "fetch" in entry]


def default_journal() -> Path:
    """Return the usual path of the journal. Raises click.UsageError: the user has no home."""
    with requiring_home():
        return user_state() / "fetch.db"


def parse_size(text: int | str) -> int:
    """Return the octets of a number or a text such as "50M". Raises click.UsageError."""
    try:
        return Size().convert(text, None, None)
    except click.BadParameter as error:
        raise click.UsageError(f"max_size: {error.message}") from None


def keep_seconds(keep: bool | str) -> float | None:  # noqa: FBT001  # as the file has it
    """Return for how long mail stays, None for ever. Raises click.UsageError."""
    if isinstance(keep, bool):
        return None if keep else 0.0
    seconds = parse_duration(keep)
    if seconds is None:
        raise click.UsageError(f'keep is "{keep}"; use true, false or a time span such as "30d"')
    return seconds
