"""`pop3 serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

FILE = click.Path(path_type=Path)

DEMO_LISTEN = "127.0.0.1:1110"


@click.command()
@click.option("-c", "--config", "file", type=FILE, help="Read the configuration from this file.")
@click.option(
    "--listen",
    multiple=True,
    metavar="HOST:PORT",
    help="Listen here; may be given more than once.  [default: 127.0.0.1:110, [::1]:110]",
)
@click.option("--mail", type=FILE, metavar="DIR", help="The folder with the Maildirs, DIR/NAME.")
@click.option("--users", type=FILE, metavar="FILE", help="The file of accounts: see pop3 user.")
@click.option(
    "--demo",
    type=FILE,
    metavar="DIR",
    help=f"Make a demo account with five messages in DIR and serve it at {DEMO_LISTEN}.",
)
def serve(
    file: Path | None,
    listen: tuple[str, ...],
    mail: Path | None,
    users: Path | None,
    demo: Path | None,
) -> None:
    """Serve maildrops over POP3 until Ctrl-C or SIGTERM.

    Flags win over the configuration file.
    """
    from restante.server import config, listener, run

    flags = _demo_flags(demo) if demo else {}
    for section, key, value in (
        ("server", "listen", list(listen)),
        ("mail", "folder", mail and mail.absolute()),
        ("accounts", "users", users and users.absolute()),
    ):
        if value:
            flags.setdefault(section, {})[key] = value
    try:
        run.run(config.load(file, flags), _tell_demo if demo else lambda _: None)
    except config.ConfigError as error:
        raise click.UsageError("\n  ".join(["cannot serve like this:", *error.problems])) from None
    except listener.ListenError as error:
        raise click.ClickException(str(error)) from None


def _demo_flags(folder: Path) -> dict[str, dict[str, Any]]:
    """Make the demo, and return the flags that serve it: ten minutes to log in suit a person."""
    from restante.server import demo

    try:
        mail, users = demo.prepare(folder.absolute())
    except OSError as error:
        raise click.ClickException(f"cannot make the demo in {folder}: {error}") from None
    return {
        "server": {"listen": [DEMO_LISTEN]},
        "mail": {"folder": mail},
        "accounts": {"users": users},
        "timeouts": {"login": 600},
    }


def _tell_demo(addresses: list[str]) -> None:
    from restante.server import demo

    host, _, port = addresses[0].rpartition(":")
    click.echo(
        f"""
Five messages wait at {addresses[0]}. In another terminal, type:

    telnet {host} {port}
    USER {demo.ACCOUNT}
    PASS {demo.PASSWORD.decode()}
    LIST
    TOP 1
    QUIT

Ctrl-C ends the server. Its log:
"""
    )
