"""The server of an account, by the forms of ACCOUNT, by options, or by a look-up."""

from __future__ import annotations

import contextlib
import dataclasses
import ipaddress
import re
import time
from typing import TYPE_CHECKING, Any

import click

from restante.cli.errors import error_reporting
from restante.client.mail_address import parse_address, split_literal

if TYPE_CHECKING:
    from restante.client.options import Target, Tls


def read_target(
    name: str, params: dict[str, Any], flags: tuple[str, ...], *, login: bool
) -> tuple[Target | None, bool]:
    """Return the server of an account, and whether its greeting must show if it uses TLS.

    Raises click.UsageError: there can be no such server, or -4 or -6 excludes its address.
    """
    target, guess = _find_target(name, params, flags, login=login)
    version = 4 if params["ipv4"] else 6
    if target is not None and params["ipv4"] != params["ipv6"]:
        with contextlib.suppress(ValueError):  # a name may have addresses of both versions
            if (other := ipaddress.ip_address(target.host).version) != version:
                text = f"-{version} excludes {target.host}, which is an IPv{other} address"
                raise click.UsageError(f"{text}; omit -{version}")
    return target, guess


def _find_target(
    name: str, params: dict[str, Any], flags: tuple[str, ...], *, login: bool
) -> tuple[Target | None, bool]:
    host, port, user = params.pop("host"), params.pop("port"), params.pop("user")
    starttls = params.pop("starttls")
    with error_reporting():
        if host is not None:
            host, port = _split_host(host, port)
        if "://" in name:
            changes = {"host": host, "port": port, "user": user}
            return _target_from_url(name, changes, starttls=starttls), False
        literal = split_literal(name)
        if literal is not None:
            user, host = user or literal[0], host or literal[1]
        elif "@" in name and (host is None or ":" in name):
            require_address(name)
        if host is None and "@" not in name:
            host, port = _named_server(name, port, login=login)
        if not (host or starttls or port or user):
            return None, False
        discovered = None if host else discover(name, params["max_time"], flags, login=login)[0]
        return _target_from_options(name, discovered, (host, port, user), starttls=starttls)


def _target_from_url(url: str, changes: dict[str, Any], *, starttls: bool) -> Target:
    from restante.client.options import PORTS, parse_url, redact_account

    try:
        target = parse_url(url)
    except ValueError as error:
        from restante.cli.options.account_errors import describe_url

        reason = describe_url(url) or error
        raise click.UsageError(f"{redact_account(url)}: {reason}") from None
    if starttls and target.tls == "implicit":
        port = PORTS["starttls"] if target.port == PORTS["implicit"] else target.port
        target = dataclasses.replace(target, tls="starttls", port=port)
    return dataclasses.replace(target, **{k: v for k, v in changes.items() if v})


def _target_from_options(
    name: str,
    discovered: Target | None,
    params: tuple[str | None, int | None, str | None],
    *,
    starttls: bool,
) -> tuple[Target, bool]:
    """Return the server that options name, with what was discovered for what they do not."""
    from restante.client.options import PORTS, Target

    host, port, user = params
    tls: Tls = "starttls" if starttls or port == PORTS["starttls"] else "implicit"
    guess = bool(port) and port not in PORTS.values() and not starttls
    user = user or (name if "@" in name else "")
    tls, port = ("starttls" if guess else tls), port or PORTS[tls]
    if discovered is not None:
        return dataclasses.replace(discovered, port=port, tls=tls, user=user), guess
    return Target(host or "", port, tls, user), guess


def _named_server(name: str, port: int | None, *, login: bool) -> tuple[str, int | None]:
    """Return the server that a name without "@" is, as `probe` and `-u NAME` write it."""
    if login and len(name.split()) != 1:  # more likely the name of a person than of a host
        from restante.cli.options.account_errors import describe_no_user

        raise click.UsageError(describe_no_user(name))
    try:
        return _split_host(name, port)
    except ValueError as error:
        from restante.cli.options.account_errors import describe_no_host

        raise click.UsageError(describe_no_host(name, error)) from None


def _split_host(text: str, port: int | None) -> tuple[str, int | None]:
    """Return the host and the port of HOST or HOST:PORT; `port` goes before its port.

    Raises ValueError: it is not a host.
    """
    from restante.net.addresses import parse_port
    from restante.net.host_names import require_host

    match = re.fullmatch(r"(\[[^\]]+\]|[^:]+)(?::([0-9]{1,20}))?", text.strip())
    host, digits = (match[1].strip("[]"), match[2]) if match else (text, None)
    require_host(host)
    return host, port or (parse_port(digits) if digits else None)


def discover(
    address: str, seconds: float | None, flags: tuple[str, ...], *, login: bool = True
) -> tuple[Target, float]:
    """Return the server of an address, and for how long a person was asked.

    Without `login`, no secret is sent, and nothing is asked. Raises CommandFailed.
    """
    from restante.cli.options.confirmation import command_with_server, confirm
    from restante.client.discovery import lookup

    with error_reporting():
        try:
            return lookup.target_of(address, seconds or lookup.SECONDS), 0
        except lookup.OtherDomainError as error:
            begun = time.monotonic()
            if login and not confirm(error):
                error.remedy = command_with_server(error.target, flags)
                raise
            return error.target, time.monotonic() - begun


def require_address(name: str) -> None:
    """Raise click.UsageError: a text is not an address, or has a password in it."""
    from restante.client.options import redact_account

    redacted = redact_account(name)
    try:
        if redacted == name:
            parse_address(name)
            return
    except ValueError as error:
        from restante.cli.options.account_errors import describe_no_address

        raise click.UsageError(describe_no_address(name, error)) from None
    from restante.cli.options.account_errors import describe_colon

    raise click.UsageError(f"{redacted}: {describe_colon(name)}")
