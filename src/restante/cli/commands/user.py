"""`pop3 user`: the accounts in a file, or in the table of a cluster."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from restante.cli.commands.app_password import app_password
from restante.cli.options.account_names import AccountName
from restante.cli.options.accounts import accounts_options, load_accounts
from restante.cli.options.prompts import ask
from restante.cli.options.server import config_option
from restante.cli.options.values import FilePath

if TYPE_CHECKING:
    from restante.auth.passwords.scram import ScramKeys
    from restante.cli.options.accounts import Accounts

LONGEST_PASSWORD = 248  # octets: PASS, a space and CR LF fill a line of 255 (RFC 2449 section 4)
TOO_LONG = f"the password is too long; POP3 allows at most {LONGEST_PASSWORD} octets"
LONGEST_LINE = 65_536  # octets that are read of a line

stdin_option = click.option(
    "--password-stdin",
    "stdin",
    is_flag=True,
    help="Read the password from the first line of standard input.",
)
scram_option = click.option(
    "--scram/--no-scram",
    default=True,
    help="Store SCRAM-SHA-256 keys with the hash in a file, so that clients can log in without "
    "sending the password.",
)


@click.group()
def user() -> None:
    """Add, change, lock, list and remove accounts."""


user.add_command(app_password)


@user.command()
@click.argument("name", type=AccountName())
@accounts_options
@stdin_option
@scram_option
def add(name: str, accounts: Accounts, *, stdin: bool, scram: bool) -> None:
    """Add an account.

    If the accounts file is missing, it is created and only its owner can read it.
    """
    from restante.auth.file import passwd_file

    if problem := passwd_file.name_problem(name):
        raise click.BadParameter(f"{name!r}: {problem}", param_hint="NAME")
    accounts.require_new(name)
    accounts.add(name, *_new_credentials(stdin=stdin, scram=scram))
    click.echo(f"Added {name}.")
    _note_lock(accounts, name)


@user.command()
@click.argument("name", type=AccountName())
@accounts_options
@stdin_option
@scram_option
def passwd(name: str, accounts: Accounts, *, stdin: bool, scram: bool) -> None:
    """Change the password of an account."""
    accounts.require_known(name)
    accounts.change(name, *_new_credentials(stdin=stdin, scram=scram))
    click.echo(f"Changed the password of {name}.")
    if accounts.app_passwords and (labels := accounts.app_passwords.labels_of(name)):
        click.echo(f"Note: its app passwords still log in: {', '.join(labels)}", err=True)


@user.command("list")
@accounts_options
@click.option("--names", is_flag=True, help="Print the names alone.")
@click.option("--json", "as_json", is_flag=True, help="Print each account as a line of JSON.")
def list_(accounts: Accounts, *, names: bool, as_json: bool) -> None:
    """List the accounts, and report invalid lines of the file.

    A source that cannot list its accounts, such as PAM, has only its locked ones here.

    After its name, each account has what distinguishes it: a lock, SCRAM keys, settings. A lock
    without an account here, such as that of another node, comes last.
    """
    if names and as_json:
        raise click.UsageError("--names and --json exclude each other; use one")
    accounts.print_all("json" if as_json else "names" if names else "text")


@user.command()
@click.argument("name", type=AccountName())
@accounts_options
def remove(name: str, accounts: Accounts) -> None:
    """Remove an account. Its mail is not deleted.

    A lock in the tables of a cluster stays, since other nodes may have the account in their files.
    """
    accounts.require_known(name)
    if accounts.app_passwords:
        accounts.app_passwords.remove_all(name)
    accounts.remove(name)
    if accounts.locks and not accounts.locks.of_cluster:
        accounts.locks.remove(name)
    click.echo(f"Removed {name}. Its mail was not deleted.")
    _note_lock(accounts, name)


@user.command()
@click.argument("name", type=AccountName())
@accounts_options
def lock(name: str, accounts: Accounts) -> None:
    """Lock an account: its sessions end, and no client can log in. Its mail is still accepted.

    A server that runs notices it within a second, in all its processes. Accounts of PAM, LDAP or a
    database are locked in the file of `accounts.locks`. In a cluster, the lock is in its database
    and holds at all nodes, whatever the source of the accounts. With --users, it is in FILE alone.
    """
    accounts.set_locked(name, locked=True)
    when = accounts.lock_time
    click.echo(f"Locked {name}. Its sessions end {when}, and its mail is still accepted.")


@user.command()
@click.argument("name", type=AccountName())
@accounts_options
def unlock(name: str, accounts: Accounts) -> None:
    """Unlock an account that was locked by `pop3 user lock`.

    Exits with 1 if something else still locks the account.
    """
    rest = accounts.set_locked(name, locked=False)
    if rest:
        raise click.ClickException(f"{name} is still locked by {rest}; correct its line by hand")
    click.echo(f"Unlocked {name}.")


@user.command("import-lists")
@config_option("Use the cluster of this configuration.")
@click.option(
    "--from",
    "source",
    type=FilePath(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Read the files that this configuration names, such as that of an earlier server."
    "  [default: that of the cluster]",
)
def import_lists(file: Path, source: Path | None) -> None:
    """Copy locks and app passwords to the tables of a cluster.

    They are in the files of `accounts.locks`, `accounts.app_passwords` and `accounts.users`. These
    files stay as they are, and so do locks in an accounts file that the cluster uses itself. An app
    password that was revoked in the cluster stays revoked. Accounts themselves are not copied.

    Run it at each node whose files differ, then omit the settings. Exits with 1 if an entry could
    not be copied.
    """
    from restante.cli.options.node_lists import NodeLists

    loaded = load_accounts(file)
    if loaded.cluster is None:
        raise click.UsageError(f"{file}: its mail is not in a cluster")
    section = (load_accounts(source) if source else loaded).config.accounts
    users = section.users if section.users != loaded.config.accounts.users else None
    if not section.locks and not section.app_passwords and not users:
        raise click.UsageError(f"{source or file}: names no list of this node; use --from")
    lists = NodeLists(loaded)
    if users is not None:
        lists.copy_locked_lines(users)
    if section.locks is not None:
        lists.copy_locks(section.locks)
    if section.app_passwords is not None:
        lists.copy_app_passwords(section.app_passwords)
    if lists.left:
        raise click.exceptions.Exit(1)


def _note_lock(accounts: Accounts, name: str) -> None:
    """Report that a name is locked, which an account of the same name would be."""
    from restante.cli.options.locks import KnownLocks

    if KnownLocks(accounts.locks).find(name):
        click.echo(f"Note: {name} is locked until you run `pop3 user unlock`", err=True)


def _new_credentials(*, stdin: bool, scram: bool) -> tuple[str, dict[str, ScramKeys]]:
    """Ask for a password, and return its hash and its keys for SCRAM."""
    from restante.auth.passwords import hashing as password_hashing
    from restante.auth.passwords.scram import create_keys
    from restante.protocol.secret import Secret

    password = Secret(_saslprep(_prompt_password(stdin=stdin)))
    keys = {}
    if scram:
        try:
            keys["SCRAM-SHA-256"] = create_keys("SCRAM-SHA-256", password)
        except ValueError as error:
            click.echo(f"No SCRAM keys were stored, because {error}.", err=True)
    return password_hashing.hash_password(password), keys


def _prompt_password(*, stdin: bool) -> bytes:
    """Return a password from a line of standard input, or typed twice at a prompt."""
    if stdin:
        line = sys.stdin.buffer.readline(LONGEST_LINE)
        password = line.removesuffix(b"\n").removesuffix(b"\r")
    else:
        advice = "Use --password-stdin to read the password from a pipe."
        typed = ask("Password", advice, hide_input=True, confirmation_prompt=True)
        password = typed.encode(errors="surrogateescape")
    if not password:
        raise click.ClickException("the password must not be empty")
    return password


def _saslprep(typed: bytes) -> bytes:
    """Return a password as all ways to type it are compared: rfc6856-s2/saslprep."""
    from restante.protocol.saslprep import TooLongError, check_password, saslprep

    try:
        check_password(typed)
    except TooLongError:
        raise click.ClickException(TOO_LONG) from None
    except UnicodeDecodeError:
        text = "the password is not UTF-8, so clients cannot send it; set the terminal to UTF-8"
        raise click.ClickException(text) from None
    except ValueError:
        text = "the password has characters that SASLprep prohibits (RFC 4013), such as controls"
        raise click.ClickException(text) from None
    try:
        password = saslprep(typed.decode(), query=True).encode()
    except ValueError:  # letters of both directions: right as it is typed, though without SCRAM
        password = typed
    if not password:
        raise click.ClickException(
            "SASLprep (RFC 4013) makes this password empty; use other characters"
        )
    if max(len(typed), len(password)) > LONGEST_PASSWORD:
        raise click.ClickException(TOO_LONG)
    return password
