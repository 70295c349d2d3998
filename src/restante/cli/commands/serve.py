"""`pop3 serve`."""

from __future__ import annotations

import functools
import re
import shlex
from pathlib import Path
from typing import Any

import click

from restante.cli.errors import invalid_configuration
from restante.cli.options.server import (
    FILE,
    MAIL_KEYS,
    mail_options,
    named_config_option,
    read_flags,
)
from restante.cli.options.values import TEXT
from restante.system_errors import describe

DEMO_LISTEN = "127.0.0.1:1110"
DEMO_TLS_LISTEN = "127.0.0.1:1995"
DEMO_SMTP = "127.0.0.1:1025"

KEYS = {
    "listen": ("server", "listen"),
    "tls_listen": ("tls", "listen"),
    "certificates": ("tls", "certificates"),
    "login_delay": ("login", "delay"),
    "workers": ("server", "workers"),
    "lmtp": ("delivery", "lmtp"),
    "smtp": ("delivery", "smtp"),
    **MAIL_KEYS,
}
"""Flags by the keys of the configuration file that they stand for."""


def _workers(_context: object, _parameter: object, value: str | None) -> int | str | None:
    """Return a number, or "auto", as the configuration has it."""
    if value is None or value == "auto":
        return value
    if not re.fullmatch("0*[1-9][0-9]{0,5}", value):
        raise click.BadParameter(f'invalid number of workers {value!r}; use a number or "auto"')
    return int(value)


@click.command()
@named_config_option
@click.option(
    "--listen",
    multiple=True,
    metavar="HOST:PORT",
    help="Listen on this address; may be repeated.  [default: 127.0.0.1:110, [::1]:110]",
)
@click.option(
    "--tls-listen",
    multiple=True,
    metavar="HOST:PORT",
    help="Listen with TLS on this address; may be repeated. The usual port is 995.",
)
@click.option(
    "--certificate", type=FILE, metavar="FILE", help="Use this certificate with its chain, in PEM."
)
@click.option(
    "--key", type=FILE, metavar="FILE", help="Use this private key of the certificate, in PEM."
)
@mail_options
@click.option(
    "--lmtp",
    type=TEXT,
    metavar="FILE",
    help="Accept mail by LMTP on this Unix socket, or on HOST:PORT of this machine.",
)
@click.option(
    "--smtp",
    type=TEXT,
    metavar="HOST:PORT",
    help="Accept mail by SMTP from programs on this machine, for tests.",
)
@click.option(
    "--login-delay",
    type=click.IntRange(1, 86_400),
    metavar="SECONDS",
    help="Reject a user's next login for this time after the last one.",
)
@click.option(
    "--workers",
    callback=_workers,
    metavar="N|auto",
    help='Set the number of worker processes; "auto" starts one for each CPU core.  [default: 1]',
)
@click.option(
    "--demo",
    type=FILE,
    metavar="DIR",
    help=f"Create a demo account with five messages in DIR and serve it on {DEMO_LISTEN}, "
    f"and with TLS on {DEMO_TLS_LISTEN}. Accept mail for it by SMTP on {DEMO_SMTP}.",
)
@click.option(
    "--fault",
    metavar="FAULT",
    help="Let the demo misbehave: a name of `pop3 misbehave list`, or a rule.",
)
def serve(file: Path | None, demo: Path | None, fault: str | None, **params: Any) -> None:
    """Serve maildrops over POP3 until Ctrl-C or SIGTERM.

    Options override the configuration file.
    """
    from restante.delivery.listener import DeliveryListenError
    from restante.server import app, listener
    from restante.server.composition.extra_listeners import build_extra_listeners
    from restante.server.config import loader
    from restante.server.config.addresses import resolve_socket_path
    from restante.server.system.service_manager import ServiceManager

    if demo and params["kind"] == "mbox":
        raise click.UsageError("--demo serves Maildirs only; omit --format")
    faulty = _faulty_connections(fault, demo, params["workers"])
    flags = demo_flags(demo) if demo else {}
    if params["lmtp"]:
        params["lmtp"] = resolve_socket_path(params["lmtp"], Path())
    params["certificates"] = _pair(params.pop("certificate"), params.pop("key"))
    for section, values in read_flags(params, KEYS).items():
        flags.setdefault(section, {}).update(values)
    try:
        load = functools.partial(loader.load, file, flags)
        loaded = load()
        hint = "; to add one: pop3 user add NAME --users " + str(demo / "users") if demo else ""
        manager = ServiceManager()
        extra_listeners = build_extra_listeners(loaded, hint, manager.sockets)
        if demo:
            on_ready = functools.partial(_show_demo, demo, loaded.delivery.smtp)
            app.run(loaded, on_ready, extra_listeners, manager=manager, **faulty)
        else:
            app.run(loaded, extra_listeners=extra_listeners, load_config=load, manager=manager)
    except loader.ConfigError as error:
        raise invalid_configuration(error.problems) from None
    except listener.ListenError as error:
        by_demo = demo and isinstance(error, DeliveryListenError)
        hint = "; the option is --smtp HOST:PORT" if by_demo else ""
        raise click.ClickException(f"{error}{hint}") from None


def _faulty_connections(fault: str | None, demo: Path | None, workers: object) -> dict[str, Any]:
    """Return the argument that makes the demo misbehave, nothing without a fault."""
    if fault is None:
        return {}
    if demo is None or workers:
        raise click.UsageError("--fault requires --demo, and does not work with --workers")
    from restante.misbehave import find
    from restante.misbehave.connection import FaultyConnection, SharedFault
    from restante.server.demo import ACCOUNT

    try:
        shared = SharedFault(find(fault).conversation, ACCOUNT)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    return {"connection": functools.partial(FaultyConnection, shared)}


def _pair(certificate: Path | None, key: Path | None) -> list[dict[str, Path]]:
    if certificate is None and key is None:
        return []
    if certificate is None or key is None:
        raise click.UsageError("--certificate and --key require each other; give both")
    return [{"certificate": certificate.absolute(), "key": key.absolute()}]


def demo_flags(folder: Path) -> dict[str, dict[str, Any]]:
    """Create the demo, and return its flags: people have ten minutes to type the login."""
    from restante.server import demo

    try:
        mail, users = demo.ensure_mailbox(folder.absolute())
        certificate, key = demo.ensure_certificate(folder.absolute())
    except OSError as error:
        raise click.ClickException(f"cannot create the demo: {describe(error, folder)}") from None
    return {
        "server": {"listen": [DEMO_LISTEN]},
        "tls": {
            "listen": [DEMO_TLS_LISTEN],
            "certificates": [{"certificate": certificate, "key": key}],
        },
        "mail": {"folder": mail},
        "accounts": {"users": users},
        "delivery": {"smtp": DEMO_SMTP},
        "timeouts": {"login": 600},
    }


def _show_demo(folder: Path, smtp: str | None, addresses: list[str]) -> None:
    from restante.net.addresses import parse_host_port
    from restante.server import demo

    host, port = parse_host_port(addresses[0])
    tls = ""
    if len(addresses) > 1:
        file = shlex.quote(str(folder.absolute() / demo.CERTIFICATE))
        tls = (
            f"With TLS:\n\n    openssl s_client -quiet -connect {addresses[1]} -CAfile {file}\n"
            f"    pop3 check pop3s://{demo.ACCOUNT}@{addresses[1]} --cacert {file}\n"
            f"    pop3 ls pop3://{demo.ACCOUNT}@{addresses[0]} --cacert {file}\n\n"
        )
    click.echo(
        f"""
The demo account at {addresses[0]} has five messages. In another terminal, type:

    telnet {host} {port}
    USER {demo.ACCOUNT}
    PASS {demo.PASSWORD.decode()}
    LIST
    TOP 1
    QUIT

{tls}To add messages, send mail for {demo.ACCOUNT} by SMTP to {smtp}.

Press Ctrl-C to stop the server. Log:
"""
    )
