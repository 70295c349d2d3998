"""`pop3 misbehave serve`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from typing import TYPE_CHECKING

import click

from restante.cli.options.connection import FILE
from restante.cli.output.terminal import shorten_lines
from restante.net.addresses import HIGHEST_PORT
from restante.system_errors import explain_path

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from restante.misbehave import Fault
    from restante.misbehave.driver import FaultyServer

PORT = 1110
TLS_PORT = 1995
FIRST_PORT = 20001  # with --all


@click.command(name="serve")
@click.argument("faults", nargs=-1, metavar="FAULT...")
@click.option("--all", "every", is_flag=True, help="Serve every fault, each on a port of its own.")
@click.option(
    "--by-user",
    is_flag=True,
    help="Serve no fault but those that user names choose, such as joe+retr-cut.",
)
@click.option(
    "--rules",
    type=FILE,
    metavar="FILE",
    help="Read rules or names from this file, one a line.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    metavar="N",
    help=f"Listen on this port, 0 for a free one.  [default: {PORT}; with --all {FIRST_PORT}]",
)
@click.option("--tls", is_flag=True, help="Offer STLS, and serve TLS on a second port.")
@click.option(
    "--tls-port",
    type=click.IntRange(0, 65_535),
    metavar="N",
    help=f"Listen with TLS on this port.  [default: {TLS_PORT}]",
)
@click.option(
    "--seed", type=int, default=0, metavar="N", help="Choose what chance does.  [default: 0]"
)
def command(  # noqa: PLR0913  # an option each
    faults: tuple[str, ...],
    *,
    every: bool,
    by_user: bool,
    rules: Path | None,
    port: int | None,
    tls: bool,
    tls_port: int | None,
    seed: int,
) -> None:
    """Serve a fault until Ctrl-C or SIGTERM.

    FAULT is a name such as retr-cut, a sum such as retr-cut+slow-latency, or a rule such as
    "RETR#2: -ERR later". Several of them add up. The account is joe, with the password secret. A
    session of joe+retr-cut has the fault retr-cut, too.
    """
    from restante.misbehave import FAULTS, find
    from restante.misbehave.driver import serving
    from restante.misbehave.fault import NONE

    text = "\n".join([*faults, _read_rules(rules) if rules else ""])
    if every + by_user + bool(text.strip()) != 1:
        hint = "`pop3 misbehave list` names all"
        raise click.UsageError(f"name a fault, or use either --all or --by-user; {hint}")
    try:
        one = NONE if by_user else None
        chosen = list(FAULTS.values()) if every else [one or find(text, seed)]
    except ValueError as error:
        hint = "; --rules FILE reads a file" if any(map(os.path.isfile, faults)) else ""
        raise click.UsageError(f"{error}{hint}") from None
    servers = [
        serving(fault, tls=tls or bool(tls_port), ports=ports, refill=True)
        for fault, ports in zip(chosen, _ports(chosen, port, tls_port, every=every), strict=True)
    ]
    asyncio.run(_serve(servers, _show_all if every else _show_one))


def _read_rules(file: Path) -> str:
    from restante.input_files import read_text

    try:
        return read_text(file)
    except OSError as error:
        raise click.UsageError(explain_path(file, error)) from None


def _ports(
    faults: list[Fault], port: int | None, tls_port: int | None, *, every: bool
) -> list[tuple[int, int]]:
    """Return the ports of each fault: the one for clear text, and the one for TLS.

    Raises click.UsageError: there are not enough ports.
    """
    if not every:
        return [(PORT if port is None else port, TLS_PORT if tls_port is None else tls_port)]
    first = FIRST_PORT if port is None else port
    highest = HIGHEST_PORT - len(faults) + 1
    if first > highest:
        text = f"--all requires {len(faults)} ports from --port on; use {highest} at most, or 0"
        raise click.UsageError(text)
    numbers = [first + place if first else 0 for place in range(len(faults))]
    return [
        (0, number) if fault.security == "implicit" else (number, 0)
        for fault, number in zip(faults, numbers, strict=True)
    ]


async def _serve(servers: list[FaultyServer], show: Callable[[list[FaultyServer]], None]) -> None:
    """Serve until a signal comes."""
    from restante.server.listener import ListenError

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with contextlib.AsyncExitStack() as stack:
        try:
            for server in servers:
                await stack.enter_async_context(server)
        except ListenError as error:
            hint = "; --port and --tls-port choose other ports"
            raise click.ClickException(f"{error}{hint}") from None
        show(servers)
        await stop.wait()


def _show_one(servers: list[FaultyServer]) -> None:
    """Print the address of a fault, what it does, and what a good client does."""
    (server,) = servers
    fault = server.fault
    click.echo(shorten_lines(f"{fault.name}  {server.host}:{_port_of(server)}"))
    lines = {"server": fault.sentence, "client": f"a good one {fault.good_client}"}
    if server.tls_port:
        lines["tls"] = f"{server.host}:{server.tls_port}; trust {server.authority}"
    lines["login"] = f"user {server.user}, password {server.password}"
    for label, text in lines.items():
        click.echo(shorten_lines(f"  {label:<7} {text}"))
    click.echo("Press Ctrl-C to stop the server.")


def _port_of(server: FaultyServer) -> int:
    """Return the port at which the fault shows."""
    by_tls = server.fault.security == "implicit"
    return server.tls_port if by_tls and server.tls_port else server.port


def _show_all(servers: list[FaultyServer]) -> None:
    """Print a table of all faults with their ports."""
    widest = max(len(server.fault.name) for server in servers)
    for server in servers:
        fault = server.fault
        click.echo(f"{_port_of(server)}  {fault.name:<{widest}}  {fault.sentence}")
    first = servers[0]
    authority = next(server.authority for server in servers if server.authority)
    click.echo(
        f"{len(servers)} faults on {first.host}, user {first.user}, password {first.password}. "
        f"For TLS trust {authority}. Press Ctrl-C to stop the servers."
    )
