"""ACCOUNT and the options that say how to get at it, the same for every command on mail."""

from __future__ import annotations

import dataclasses
import re
import sys
import time
from typing import TYPE_CHECKING, Any, TypeVar

import click

from restante.cli.errors import error_reporting
from restante.cli.options import add_options, options_of
from restante.cli.options.account_file import find_account, find_entry
from restante.cli.options.connection import (
    CONNECTION_OPTIONS,
    client_options,
    set_color,
    trust_context,
)
from restante.cli.options.password import (
    add_stored_options,
    is_password_named,
    password_getter,
    password_options,
)
from restante.cli.options.stored_tokens import find_tokens
from restante.client.mail_address import parse_address, split_literal, unwrap_address

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from restante.cli.options.stored_tokens import AccountTokens
    from restante.client.options import Options, Target, Tls
    from restante.diagnosis.request import CheckRequest

F = TypeVar("F", bound="Callable[..., Any]")


_REPEATED = {
    "insecure", "cacert", "max_time", "connect_timeout", "timeout", "password_file", "netrc",
    "keyring", "require_tls", "no_capa",
}  # fmt: skip
"""Options that a suggested command repeats. --password-command may have a password in it."""


ACCOUNT_HELP = (
    "ACCOUNT is user@domain, pop3s://user@host[:port], pop3://user@host (STLS), or a name from "
    "~/.config/restante/accounts.toml."
)


@dataclasses.dataclass(slots=True, eq=False)
class AccountArgs:
    """An account as the command line names it."""

    name: str
    target: Target | None  # None: to be discovered
    options: Options
    password: Callable[[], str]
    guess: bool
    verify: bool
    trust: ssl.SSLContext | None  # for the judgement of a certificate that need not be good
    seconds: float | None
    verbose: bool
    flags: tuple[str, ...] = ()  # of the command line, for suggested commands
    check_request: CheckRequest | None = None  # a check sets its target by discovery
    auth: AccountTokens | None = None  # the tokens of `pop3 login`, in place of a password
    cacert: Path | None = None  # the file that `trust` was read from
    password_named: bool = True  # else a person is asked for it, at a terminal

    def request(self) -> CheckRequest:
        """Return what `check`, `probe` and `monitor` ask about it, without a login."""
        from restante.diagnosis.request import CheckRequest

        self.check_request = CheckRequest(
            self.name,
            self.target,
            dataclasses.replace(self.options, notice=None),  # the report has them
            verify=self.verify,
            trust=self.trust,
            guess=self.guess,
            flags=self.flags,
        )
        return self.check_request

    def add_login(self, request: CheckRequest) -> None:
        """Let a check log in, by the stored tokens or by the password."""
        request.password, request.password_named = self.password, self.password_named
        request.can_ask = sys.stdin.isatty()
        request.auth = self.auth
        if self.auth is not None:
            request.options = dataclasses.replace(request.options, token=True)

    @property
    def may_ask(self) -> bool:
        """Whether a person may be asked for the password, or about a server of another domain."""
        is_complete = self.auth is not None or self.password_named
        return sys.stdin.isatty() and not (is_complete and self.target)

    @property
    def sends_token(self) -> bool:
        """Whether it logs in by an access token, a stored one or that of --oauth."""
        return self.auth is not None or self.options.token

    def secret(self) -> str:
        """Return the stored access token, or the password. Raises OAuthError, TokenStoreError."""
        return self.auth.token() if self.auth is not None else self.password()

    def locate(self) -> Target:
        """Return the server, discovered if it was not named, within the time for the whole command.

        A person at a terminal is asked about a server of another domain. Raises CommandFailed.
        """
        if self.target is None:
            begun = time.monotonic()
            self.target, prompted = _discover(self.name, self.seconds, self.flags)
            self._subtract_time(time.monotonic() - begun - prompted)
        return self.target

    def renewed_options(self) -> Options:
        """Return the options with the authorities that the file of --cacert has now.

        Raises click.UsageError: the file cannot be read.
        """
        if self.cacert is None or not self.verify:
            return self.options
        return dataclasses.replace(self.options, context=trust_context(self.cacert))

    def _subtract_time(self, seconds: float) -> None:
        """Subtract the time of a look-up from the time that is left for the whole command."""
        if self.seconds is not None:
            left = max(0.001, self.seconds - seconds)
            self.options = dataclasses.replace(self.options, total_seconds=left)


class AccountCommand(click.Command):
    """A command on an account. Its help explains ACCOUNT, and has the shared options at the end."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments. An error about extra ones does not repeat them: one may be secret."""
        ctx.allow_extra_args = True
        left = super().parse_args(ctx, args)
        if left and not ctx.resilient_parsing:
            from restante.cli.options.account_errors import describe_extra

            ctx.fail(describe_extra(ctx.params.get("account", ""), left))
        return left

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the help, and the forms of ACCOUNT."""
        super().format_help_text(ctx, formatter)
        if any(parameter.name == "account" for parameter in self.params):
            formatter.write_paragraph()
            with formatter.indentation():
                formatter.write_text(ACCOUNT_HELP)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options in three sections."""
        shared = {
            "Connection options": {option.name for option in options_of(*CONNECTION_OPTIONS)},
            "Password options": {option.name for option in options_of(password_options)},
        }
        rows: dict[str, list[tuple[str, str]]] = {title: [] for title in ("Options", *shared)}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and isinstance(parameter, click.Option):
                titles = (title for title, names in shared.items() if parameter.name in names)
                rows[next(titles, "Options")].append(record)
        for title, records in rows.items():
            if not records:
                continue
            with formatter.section(title):
                formatter.write_dl(records)


def account_options(function: F) -> F:
    """Add the options of connection and password."""
    return add_options(password_options(function), CONNECTION_OPTIONS)


def account_options_without(*left_out: str) -> Callable[[F], F]:
    """Return a decorator that adds the options of connection, but for some by their names.

    `parse_account` then requires `fill_options`.
    """

    def decorate(function: F) -> F:
        kept = [option for option in options_of(*CONNECTION_OPTIONS) if option.name not in left_out]
        params = function.__dict__.setdefault("__click_params__", [])
        params.extend(reversed(kept))  # click shows them in the opposite order
        return function

    return decorate


def fill_options(params: dict[str, Any]) -> None:
    """Add the defaults of the shared options that a command does not have."""
    for option in options_of(*CONNECTION_OPTIONS, password_options):
        default = () if option.multiple else False if option.is_flag else None
        params.setdefault(option.name or "", default)


def parse_account(
    name: str,
    params: dict[str, Any],
    total: float | None = None,
    *,
    login: bool = True,
    read_cacert: bool = True,
) -> AccountArgs:
    """Return the account that a command line means, and take its options out of `params`.

    `total` is the time for all of it by default, in seconds; with `login` a user is needed. Without
    `read_cacert`, only `renewed_options` has the account's own authorities. Raises
    click.UsageError: something about it cannot be.
    """
    typed = unwrap_address(name)
    name, stored = find_account(typed)
    flags = tuple(_repeated_options(params))
    add_stored_options(params, stored)
    set_color(params.pop("color"))
    accounts: list[AccountArgs] = []
    named = is_password_named(params)
    password = password_getter(params, lambda: _known_target(accounts[0]))
    target, guess = _target(name, params, flags, login=login)
    if login and target is not None and not target.user:
        from restante.cli.options.account_errors import describe_no_user

        raise click.UsageError(describe_no_user(name))
    verbose = params.pop("verbose")
    seconds = params.pop("max_time") or total
    verify = not params.pop("insecure")
    cacert = params.pop("cacert")
    trust = trust_context(cacert) if read_cacert else None
    options = client_options(params, seconds=seconds, context=trust, verbose=verbose)
    if not verify:
        from restante.client.tls import unverified_context

        options = dataclasses.replace(options, context=unverified_context())
    account = AccountArgs(
        name, target, options, password, guess, verify, trust, seconds, verbose, flags
    )
    account.cacert = cacert
    accounts.append(account)
    account.password_named = named
    user = target.user if target else ""
    if not named and (login or user):
        account.auth = find_tokens(
            typed, name, user, find_entry(typed), lambda: _known_target(account)
        )
    return account


def _repeated_options(params: dict[str, Any]) -> Iterator[str]:
    """Yield what suggested commands repeat and the report does not know; no secret is in it."""
    for option in click.get_current_context().command.params:
        value = params.get(option.name or "")
        if option.name in _REPEATED and value:
            yield max(option.opts, key=len)
            if value is not True:
                yield f"{value:g}" if isinstance(value, float) else str(value)


def _known_target(account: AccountArgs) -> Target:
    from restante.client.options import Target

    discovered = account.check_request.target if account.check_request else None
    return account.target or discovered or Target("its server", 995, "implicit", account.name)


def _target(
    name: str, params: dict[str, Any], flags: tuple[str, ...], *, login: bool
) -> tuple[Target | None, bool]:
    """Return the server of an account, and whether its greeting must show if it uses TLS."""
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
        discovered = None if host else _discover(name, params["max_time"], flags)[0]
        return _target_from_options(name, discovered, (host, port, user), starttls=starttls)


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
    guess = bool(port) and port not in (110, 995) and not starttls
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


def _discover(address: str, seconds: float | None, flags: tuple[str, ...]) -> tuple[Target, float]:
    """Return the server of an address, and for how long a person was asked.

    Raises CommandFailed.
    """
    from restante.cli.options.confirmation import command_with_server, confirm
    from restante.client.discovery import lookup

    with error_reporting():
        try:
            return lookup.target_of(address, seconds or lookup.SECONDS), 0
        except lookup.OtherDomainError as error:
            begun = time.monotonic()
            if not confirm(error):
                error.remedy = command_with_server(error.target, flags)
                raise
            return error.target, time.monotonic() - begun
