"""The options of a connection: server, TLS, login mechanism, time limits and what is shown."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from restante.cli.options.values import TEXT, FilePath, Seconds
from restante.cli.output.wrapping import may_use_colours

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable

    from restante.client.options import Options

FILE = FilePath(path_type=Path, dir_okay=False)
SECONDS = Seconds()
NOTICES = "restante.notices"  # of a click.Context: ids of warnings that were shown

CONNECTION_OPTIONS = (
    click.option("-u", "--user", type=TEXT, metavar="NAME", help="Log in with this user name."),
    click.option(
        "--host", metavar="NAME", help="Connect to this server instead of the discovered one."
    ),
    click.option(
        "--port", type=click.IntRange(1, 65535), metavar="PORT", help="Connect to this port."
    ),
    click.option("--starttls", is_flag=True, help="Start TLS with STLS (port 110 by default)."),
    click.option(
        "-k", "--insecure", is_flag=True, help="Accept a certificate that fails verification."
    ),
    click.option(
        "--cacert",
        type=FILE,
        metavar="FILE",
        help="Trust only the certificate authorities in this PEM file.",
    ),
    click.option(
        "--servername", type=TEXT, metavar="NAME", help="Require this name in the certificate."
    ),
    click.option(
        "--insecure-plaintext",
        is_flag=True,
        help="Send the password unencrypted if the server does not offer TLS.",
    ),
    click.option(
        "--require-tls",
        is_flag=True,
        help="Never log in without TLS, not even to a server on this machine.",
    ),
    click.option("--no-capa", is_flag=True, help="Do not send CAPA, for servers that fail at it."),
    click.option("--oauth", is_flag=True, help="Use the password as an OAuth 2 access token."),
    click.option(
        "--mechanism",
        type=TEXT,
        metavar="NAME",
        help="Use only this login mechanism, e.g. PLAIN or USER.",
    ),
    click.option("-4", "ipv4", is_flag=True, help="Use IPv4 only."),
    click.option("-6", "ipv6", is_flag=True, help="Use IPv6 only."),
    click.option(
        "--resolve",
        multiple=True,
        metavar="HOST:PORT:ADDRESS",
        help="Connect to ADDRESS for HOST:PORT, without the DNS; may be repeated.",
    ),
    click.option(
        "-m",
        "--max-time",
        type=SECONDS,
        metavar="SECONDS",
        help="Limit the time for the whole command.",
    ),
    click.option(
        "--connect-timeout",
        type=SECONDS,
        metavar="SECONDS",
        help="Limit the time for each connection attempt.  [default: 10]",
    ),
    click.option(
        "--timeout",
        type=SECONDS,
        metavar="SECONDS",
        help="Limit the time for each reply.  [default: 20]",
    ),
    click.option(
        "-v", "--verbose", is_flag=True, help="Show commands and replies, without secrets."
    ),
    click.option(
        "--color",
        type=click.Choice(["auto", "always", "never"]),
        default="auto",
        help="Colour the output.  [default: auto]",
    ),
)


def client_options(
    params: dict[str, Any],
    *,
    seconds: float | None,
    trust: ssl.SSLContext | None,
    verify: bool,
    verbose: bool,
) -> Options:
    """Return the client's options, and take those of the command line out of `params`.

    `seconds` is the time for the whole command. `trust` judges the server's certificate, None for
    the system's authorities; without `verify`, nothing does. Raises click.UsageError: an option is
    invalid.
    """
    from restante.client.options import Options

    if params.get("ipv4") and params.get("ipv6"):
        raise click.UsageError("-4 and -6 exclude each other; use one")
    ipv4, ipv6 = params.pop("ipv4"), params.pop("ipv6")
    mechanism, connect, reply = (params.pop(k) for k in ("mechanism", "connect_timeout", "timeout"))
    resolve = _read_resolve(params.pop("resolve"))
    if not verify:
        from restante.client.tls import unverified_context

        trust = unverified_context()
    try:
        return Options(
            connect_seconds=connect or 10,
            reply_seconds=reply or 20,
            total_seconds=seconds,
            context=trust,
            server_name=params.pop("servername") or "",
            insecure_plaintext=params.pop("insecure_plaintext"),
            require_tls=params.pop("require_tls"),
            capa=not params.pop("no_capa"),
            mechanisms=(mechanism.upper(),) if mechanism else None,
            token=params.pop("oauth"),
            family=4 if ipv4 else 6 if ipv6 else 0,
            resolve=resolve,
            trace=_trace if verbose else None,
            notice=_notice,
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def trust_context(cacert: Path | None) -> ssl.SSLContext | None:
    """Return a context that trusts only the authorities in a PEM file, None without a file.

    It is kept until the file changes, so a long run may ask for it again and again. Raises
    click.UsageError: the file cannot be read or is not PEM.
    """
    if cacert is None:
        return None
    from restante.client.tls import verifying_context
    from restante.system_errors import explain_path

    try:
        return verifying_context(str(cacert))
    except OSError as error:
        raise click.UsageError(f"cacert cannot be read: {explain_path(cacert, error)}") from None


def _read_resolve(texts: Iterable[str]) -> dict[tuple[str, int], str]:
    """Return the addresses of --resolve. Raises click.UsageError: a host has two of them."""
    table: dict[tuple[str, int], str] = {}
    for (host, port), address in map(_parse_resolve, texts):
        other = table.setdefault((host.lower(), port), address)
        if other != address:
            text = f"--resolve gives {host}:{port} two addresses, {other} and {address}; give one"
            raise click.UsageError(text)
    return table


def _parse_resolve(text: str) -> tuple[tuple[str, int], str]:
    from restante.net.addresses import is_address, parse_port

    match = re.fullmatch(r"([^:]+):([0-9]{1,20}):\[?([^\]]+)\]?", text)
    if not match:
        raise click.UsageError(f"invalid --resolve {text}; use HOST:PORT:ADDRESS")
    if not is_address(match[3]):
        reason = f"{match[3]} is not an IP address"
        raise click.UsageError(f"invalid --resolve {text}: {reason}; use HOST:PORT:ADDRESS")
    try:
        return (match[1], parse_port(match[2])), match[3]
    except ValueError as error:
        raise click.UsageError(f"invalid --resolve {text}: {error}") from None


def _trace(direction: str, line: str) -> None:
    from restante.cli.output.terminal import plain

    click.echo(click.style(f"{direction} {plain(line)}", dim=True), err=True)


def _notice(name: str, text: str) -> None:
    """Show a warning about the server in one line."""
    from restante.cli.output.terminal import plain

    click.echo(f"WARN {name}  {plain(text)}; pop3 explain {name}", err=True)
    click.get_current_context().meta.setdefault(NOTICES, set()).add(name)


def exit_for(name: str) -> None:
    """Exit with 1 if a warning with this id was shown."""
    context = click.get_current_context()
    if name in context.meta.get(NOTICES, ()):
        context.exit(1)


def set_color(choice: str) -> None:
    """Colour the output always, never, or on terminals if NO_COLOR is not set."""
    context = click.get_current_context()
    if choice == "never" or (choice == "auto" and not may_use_colours()):
        context.color = False
    elif choice == "always":
        context.color = True
