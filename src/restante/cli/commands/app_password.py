"""`pop3 user app-password`: passwords of an account for one program each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from restante.cli.options.account_names import AccountName
from restante.cli.options.app_passwords import app_passwords_options

if TYPE_CHECKING:
    from restante.cli.options.app_passwords import AppPasswords


@click.group("app-password")
def app_password() -> None:
    """Add, list and revoke app passwords.

    An app password is for one program of an account's user. It works with every source of accounts.

    The file of `accounts.app_passwords` has the app passwords. In a cluster, a table has them, and
    they hold at all nodes.
    """


@app_password.command()
@click.argument("name", type=AccountName())
@click.argument("label")
@app_passwords_options
def add(name: str, label: str, passwords: AppPasswords) -> None:
    """Make an app password for the account NAME, and print it once.

    LABEL names the program or device, such as "phone". Only a digest of the password is stored.
    """
    shown = passwords.add(name, label)
    try:
        click.echo(shown)
    except OSError:  # no user has seen the password, and no command shows it again
        passwords.remove(name, label)
        raise


@app_password.command("list")
@click.argument("name", type=AccountName(), required=False)
@click.option("--json", "as_json", is_flag=True, help="Print each app password as a line of JSON.")
@app_passwords_options
def list_(name: str | None, passwords: AppPasswords, *, as_json: bool) -> None:
    """List app passwords, with their last use.

    Without NAME, those of all accounts are listed.
    """
    from restante.cli.output.terminal import plain
    from restante.protocol.text import to_json

    for row in passwords.rows(name):
        if as_json:
            click.echo(to_json(row))
        else:
            last = f"last used {row['last_used']}" if row["last_used"] else "never used"
            owner = "" if name else f"{plain(row['account'])}  "
            click.echo(f"{owner}{plain(row['label'])}  created {row['created']}, {last}")


@app_password.command()
@click.argument("name", type=AccountName())
@click.argument("label")
@app_passwords_options
def remove(name: str, label: str, passwords: AppPasswords) -> None:
    """Revoke an app password.

    Sessions that use it end within a second, or at all nodes of a cluster within two.
    """
    name = passwords.remove(name, label)
    click.echo(f"Revoked the app password {label} of {name}.")
