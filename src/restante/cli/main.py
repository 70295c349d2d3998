"""`pop3`: the group of all subcommands, each loaded when it is used."""

from __future__ import annotations

import contextlib
import importlib
import os
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from restante.cli.errors import CommandFailed
from restante.cli.output.terminal import plain, plain_lines, shorten_lines
from restante.cli.output.wrapping import may_use_colours
from restante.cli.program import DISK, INTERRUPTED, NO_ROOM

if TYPE_CHECKING:
    from collections.abc import Iterator

    from click.shell_completion import CompletionItem


class Subcommand(NamedTuple):
    """Where a subcommand is, "module:function" below `cli`, and its line in `pop3 --help`."""

    place: str
    summary: str


SECTIONS = {
    "Find out why an account or a server does not work": {
        "check": Subcommand(
            "commands.check:check", "Find out whether a mail account works and, if not, why."
        ),
        "probe": Subcommand("commands.check:probe", "Check a server without logging in."),
        "discover": Subcommand(
            "commands.discover:discover", "Find the POP3 server of a mail address."
        ),
        "explain": Subcommand(
            "commands.explain:explain",
            "Explain an id of `pop3 check`, or a fault of `pop3 misbehave`.",
        ),
        "monitor": Subcommand(
            "commands.monitor:monitor", "Print one status line for Nagios or Icinga."
        ),
        "verify": Subcommand(
            "commands.verify:verify", "Test whether a POP3 server conforms to the RFCs."
        ),
    },
    "Sign in with OAuth": {
        "login": Subcommand(
            "commands.login:login", "Sign in to an account's provider, and keep the tokens."
        ),
        "logout": Subcommand(
            "commands.tokens:logout",
            "Revoke the tokens of an account at its issuer, and forget them.",
        ),
        "token": Subcommand(
            "commands.tokens:token", "Print an access token of an account, for another program."
        ),
    },
    "Read and delete mail": {
        "ls": Subcommand(
            "commands.ls:ls", "List the messages with size, date, sender and subject."
        ),
        "show": Subcommand("commands.show:show", "Show one message, decoded."),
        "fetch": Subcommand(
            "commands.fetch:fetch", "Collect the mail of accounts into other mailboxes."
        ),
        "rm": Subcommand("commands.rm:rm", "Delete messages permanently, by number or unique-id."),
        "shell": Subcommand(
            "shell.command:shell", "Open an interactive POP3 session with help and completion."
        ),
        "stat": Subcommand("commands.ls:stat", "Show the number of messages and their total size."),
        "uidl": Subcommand("commands.ls:uidl", "List the unique-id of each message."),
        "top": Subcommand(
            "commands.raw:top", "Show the header of a message and the first lines of its body."
        ),
        "raw": Subcommand(
            "commands.raw:raw", "Send one POP3 command as typed, and show the reply."
        ),
    },
    "Run a server": {
        "serve": Subcommand(
            "commands.serve:serve", "Serve maildrops over POP3 until Ctrl-C or SIGTERM."
        ),
        "config": Subcommand(
            "commands.config:config",
            "Check the configuration file of `pop3 serve`, or show it with all defaults.",
        ),
        "user": Subcommand("commands.user:user", "Add, change, lock, list and remove accounts."),
        "sessions": Subcommand(
            "commands.control:sessions", "Show the sessions of a running server."
        ),
        "kick": Subcommand(
            "commands.control:kick", "End the sessions of a user or an address, or one session."
        ),
        "status": Subcommand(
            "commands.control:status",
            "Show the processes, addresses and certificates of a server.",
        ),
        "deliver": Subcommand(
            "commands.deliver:deliver", "Deliver the message on standard input to USER."
        ),
        "expire": Subcommand(
            "commands.expire:expire", "Remove mail that is older than the configuration allows."
        ),
        "quota": Subcommand(
            "commands.quota:quota",
            "Show how much of its quota each USER has used, or each account.",
        ),
        "undelete": Subcommand("commands.undelete:undelete", "Restore removed messages of a user."),
        "store": Subcommand(
            "commands.store.group:store", "Set up, check and move the mail of a cluster."
        ),
    },
    "Test programs that use mail": {
        "dev": Subcommand(
            "commands.dev:dev", "Serve a mailbox for development, and a page that shows it."
        ),
        "misbehave": Subcommand(
            "commands.misbehave.group:misbehave",
            "Serve POP3 with one thing wrong, to test clients.",
        ),
    },
    "Set up the shell": {
        "completion": Subcommand(
            "commands.completion:completion",
            "Print a shell script that completes commands and options.",
        ),
    },
}
"""The subcommands by the sections of `pop3 --help`, which imports none of them."""

SUBCOMMANDS = {name: row for rows in SECTIONS.values() for name, row in rows.items()}

WIDEST_NAME = max(map(len, SUBCOMMANDS))


NO_FOLDER = "The working directory was removed, so relative paths name nothing; cd to another one"


class LazyGroup(click.Group):
    """A group that imports a subcommand only when it runs."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Open a shell if the first argument is an account."""
        first = next((word for word in args if not word.startswith("-")), "")
        if args and args[0] == first and _is_account(first):
            args = ["shell", *args]
        with _error_reporting():
            return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the subcommand of the first word. The error for another word has a near one."""
        if args[0] not in SUBCOMMANDS and not ctx.resilient_parsing:
            import difflib

            near = difflib.get_close_matches(args[0], SUBCOMMANDS, 1)
            hint = f" Did you mean {near[0]}?" if near else _accounts_mistake()
            ctx.fail(f"No such command {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # the name is click's
        """Return the names of all subcommands."""
        return list(SUBCOMMANDS)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # the name is click's
        """Write the subcommands by section, without an import of any."""
        for section, rows in SECTIONS.items():
            with formatter.section(section):
                formatter.write_dl(
                    [(f"{name:<{WIDEST_NAME}}", row.summary) for name, row in rows.items()]
                )

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the subcommands and options that begin so, without an import of any."""
        from click.shell_completion import CompletionItem

        items = [
            CompletionItem(name, help=row.summary)
            for name, row in SUBCOMMANDS.items()
            if name.startswith(incomplete)
        ]
        return [*items, *click.Command.shell_complete(self, ctx, incomplete)]

    def invoke(self, ctx: click.Context) -> Any:
        """Import and run a subcommand.

        An error of the disk that the subcommand does not expect is reported with its file.
        """
        if not may_use_colours():
            ctx.color = False  # also for subcommands without --color
        try:
            with _error_reporting():
                return super().invoke(ctx)
        except OSError as error:
            if error.filename is None:
                if isinstance(error, FileNotFoundError) and not _has_working_folder():
                    raise click.ClickException(NO_FOLDER) from None
                raise
            from restante.system_errors import describe

            failed = click.ClickException(plain(shorten_lines(describe(error))))
            if error.errno in NO_ROOM:
                failed.exit_code = DISK  # type: ignore[misc]  # click has it for the class
            raise failed from None

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # the name is click's
        """Import and return a subcommand."""
        row = SUBCOMMANDS.get(cmd_name)
        if row is None:
            return None
        module, name = row.place.split(":")
        command: click.Command = getattr(importlib.import_module(f"restante.cli.{module}"), name)
        return command


def _is_account(word: str) -> bool:
    """Return whether a word is an account, or a name in the file of accounts, and no subcommand."""
    if "@" in word or "://" in word:
        return True
    if word in SUBCOMMANDS or word.startswith("-") or not word:
        return False
    from restante.cli.options.account_file import load_entries

    try:
        return word in load_entries()
    except click.UsageError:  # the file is invalid, or the user has no home
        return False


def _accounts_mistake() -> str:
    """Return what is wrong with the file of accounts, which may have the name, "" for nothing."""
    from restante.cli.options.account_file import load_entries

    try:
        load_entries()
    except click.UsageError as error:
        return f" The names of accounts cannot be read: {error.message}"
    return ""


def _has_working_folder() -> bool:
    """Return whether the folder in which the program was started is still there."""
    try:
        os.getcwd()
    except OSError:
        return False
    return True


@contextlib.contextmanager
def _error_reporting() -> Iterator[None]:
    """Report Ctrl-C in the block, and at a prompt; click's own report has the exit code 1.

    What errors repeat, such as words of the command line, becomes short and harmless here.
    """
    try:
        yield
    except click.ClickException as error:
        if isinstance(error, click.UsageError) and error.ctx:
            error.message = _explain_extra(error.ctx.command, error.message)  # type: ignore[misc]
        error.message = plain_lines(shorten_lines(error.message or ""))  # type: ignore[misc]  # Final for readers
        raise
    except (KeyboardInterrupt, click.Abort):
        raise CommandFailed("Interrupted.", INTERRUPTED) from None


def _explain_extra(command: click.Command, text: str) -> str:
    """Return click's error, with the options that name files if it is about extra arguments.

    They are not repeated to a command that asks for a password: one may be a secret.
    """
    if not text.startswith("Got unexpected extra argument"):
        return text
    options = {option.opts[-1]: option.metavar for option in command.params}
    if "--password-stdin" in options:
        text = "Got unexpected extra arguments; pop3 asks for the password"
    files = [f"{name} {kind}" for name, kind in options.items() if kind in {"FILE", "DIR"}]
    return f"{text}; options name files: {', '.join(files)}" if files else text


def _show_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:  # noqa: FBT001  # click's signature
    if wanted:
        from restante.cli.output.version import describe

        click.echo("\n".join(describe()))
        ctx.exit()


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "-V",
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version and the parts in use, and exit.",
)
def main() -> None:
    """Serve mail over POP3, and find out why a mail account does not work.

    `pop3 COMMAND --help` describes a command. `pop3 ACCOUNT` opens the shell.
    """
