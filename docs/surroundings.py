"""The variables and the files that `pop3` uses, for the page of the toolbox and for the man pages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import click

WITH_CREDENTIALS = "commands with `--password-command`"
WITH_ACCOUNT = "commands with ACCOUNT"
WITH_SERVER = "commands with `--config`"
ALL = "all"


class Row(NamedTuple):
    """A variable or a file: its name, what it is for, and the commands or the kind of them."""

    name: str
    meaning: str
    commands: str = ALL


VARIABLES = (
    Row("POP3_PASSWORD", "The password, if neither an option nor `accounts.toml` names one.", WITH_CREDENTIALS),
    Row("XDG_CONFIG_HOME", "The folder that `restante/accounts.toml` is in, `~/.config` by default.", WITH_ACCOUNT),
    Row("XDG_STATE_HOME", "The folder that `restante/` with tokens, journal and history is in, `~/.local/state` by "
        "default.", WITH_ACCOUNT),
    Row("HOME", "The user's home folder, for `~`.", WITH_ACCOUNT),
    Row("SSL_CERT_FILE, SSL_CERT_DIR", "The certificate authorities to trust, in place of the system's."),
    Row("https_proxy, no_proxy", "The proxy for requests to the provider's sign-in and to Gmail's API, and the hosts "
        "without it.", WITH_ACCOUNT),
    Row("BROWSER, DISPLAY, WAYLAND_DISPLAY", "The browser to sign in with; without all three, none is opened.",
        "login"),
    Row("FETCHMAILHOME", "The folder of fetchmail's own files.", "fetch"),
    Row("POP3_WEB_PASSWORD", "The password of the page.", "dev"),
    Row("POP3_DEV_PASSWORD", "The password of all mailboxes.", "dev"),
    Row("NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID, LISTEN_FDS, LISTEN_PID, LISTEN_FDNAMES, JOURNAL_STREAM, "
        "INVOCATION_ID", "Set by systemd: readiness, the watchdog, its sockets and its journal.", "serve"),
    Row("PGPASSWORD, PGPASSFILE", "The password of PostgreSQL, if the address in the configuration has none. libpq "
        "has more such variables.", WITH_SERVER),
    Row("NO_COLOR", "If it is not empty, output has no colours."),
    Row("TERM", "If it is `dumb`, output has no colours, and no line is written over."),
    Row("COLUMNS", "The width of lines, in place of the terminal's."),
)  # fmt: skip

FILES = (
    Row("~/.config/restante/accounts.toml", "Accounts with names, and the settings of `pop3 fetch`.", WITH_ACCOUNT),
    Row("~/.config/restante/providers.toml", "Changes of the table of providers.", WITH_ACCOUNT),
    Row("~/.local/state/restante/tokens/", "The tokens of `pop3 login`.", WITH_ACCOUNT),
    Row("~/.local/state/restante/fetch.db", "The journal of fetched mail.", "fetch"),
    Row("~/.local/state/restante/history", "The lines that were typed.", "shell"),
    Row("~/.netrc", "Passwords, for `--netrc`.", WITH_CREDENTIALS),
    Row("/etc/restante/restante.toml", "The configuration of a server, by convention.", WITH_SERVER),
)  # fmt: skip


def used_by(rows: Iterable[Row], name: str, command: click.Command) -> Iterator[Row]:
    """Yield the rows of a command, by its name and by its options."""
    words = set(_words(command))
    kinds = {
        ALL: True,
        name: True,
        WITH_CREDENTIALS: "--password-command" in words,
        WITH_ACCOUNT: "ACCOUNT" in words,
        WITH_SERVER: "--config" in words or name == "config",
    }
    return (row for row in rows if kinds.get(row.commands))


def _words(command: click.Command) -> Iterator[str]:
    """Yield the options and the arguments of a command and of those below it."""
    context = click.Context(command)
    for parameter in command.params:
        yield from parameter.opts
        yield parameter.make_metavar(context).strip("[]. ")
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            child = command.get_command(context, below)
            yield from _words(child) if child else ()


def sections() -> str:
    """Return the sections of the page."""
    return f"""## Environment variables

| variable | meaning | commands |
|---|---|---|
{"".join(map(_table_row, VARIABLES))}
`pop3 fetch` sets [other variables](fetch-destinations.md) for the commands that it runs.

## Files

| file | meaning | commands |
|---|---|---|
{"".join(map(_table_row, FILES))}"""


def _table_row(row: Row) -> str:
    commands = (
        row.commands if " " in row.commands or row.commands == ALL else f"`pop3 {row.commands}`"
    )
    names = ", ".join(f"`{name}`" for name in row.name.split(", "))
    return f"| {names} | {row.meaning} | {commands} |\n"
