"""The question whether a server of another domain may have the password. RFC 6186 section 6."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from restante.cli.output.terminal import plain

if TYPE_CHECKING:
    from restante.client.discovery.lookup import OtherDomainError
    from restante.client.options import Target

_RISK = (
    "DNS replies can be forged, and the owner of that name receives the password. "
    "Compare the name with the documentation of the provider."
)


def confirm(error: OtherDomainError) -> bool:
    """Ask the user to confirm the server. Returns False without a terminal."""
    from restante.cli.options.prompts import ask_to_confirm
    from restante.cli.output.wrapping import is_terminal, wrap_hanging

    if not (sys.stdin.isatty() and is_terminal(sys.stderr)):
        return False
    text = f"{error.text.partition(':')[0]}. {_RISK}"
    for line in wrap_hanging("", plain(text), wrap=True):
        click.echo(line, err=True)
    advice = "Nothing was sent; name the server by --host."
    return ask_to_confirm(f"Log in at {plain(error.target.host)}?", advice, err=True)


def command_with_server(target: Target, flags: tuple[str, ...]) -> str:
    """Return the command that was typed, with the server named in it.

    `pop3 fetch` may have several accounts, of which only one has this server.
    """
    import shlex

    from restante.net.addresses import format_host_port

    context = click.get_current_context()
    if "names" in context.params:
        return f'Set account = "{target}" in accounts.toml, or type this URL as the account.'
    words = ["pop3", *context.command_path.split()[1:]]
    for parameter in context.command.params:
        if isinstance(parameter, click.Argument):
            value = context.params.get(parameter.name or "")
            words += map(str, value if isinstance(value, tuple) else [value])
    names = {parameter.name for parameter in context.command.params}
    has_user = target.user in words or "user" not in names  # the latter, as of `pop3 probe`
    if "port" in names:
        words += ["--host", target.host, "--port", str(target.port)]
    else:  # as of `pop3 login`, whose --port is another one
        words += ["--host", format_host_port(target.host, target.port)]
    words += ["--starttls"] if target.tls == "starttls" else []
    words += [] if has_user else ["--user", target.user]
    return shlex.join([*words, *flags])
