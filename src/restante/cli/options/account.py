"""ACCOUNT and the options that say how to get at it, the same for every command on mail."""

from __future__ import annotations

import dataclasses
import sys
import time
from typing import TYPE_CHECKING, Any, TypeVar

import click

from restante.cli.options import add_options, options_of
from restante.cli.options.account_file import find_account, find_entry
from restante.cli.options.account_target import discover, read_target
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
from restante.client.mail_address import unwrap_address

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from restante.cli.options.stored_tokens import AccountTokens
    from restante.client.options import Options, Target
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


@dataclasses.dataclass(slots=True, kw_only=True, eq=False)
class AccountArgs:
    """An account as the command line names it."""

    name: str
    target: Target | None  # None: to be discovered
    options: Options
    password: Callable[[], str]
    password_named: bool  # else a person is asked for it, at a terminal
    guess: bool  # the greeting must show whether the port uses TLS
    verify: bool
    trust: ssl.SSLContext | None  # for the judgement of a certificate that need not be good
    cacert: Path | None  # the file that `trust` was read from
    seconds: float | None  # for the whole command
    verbose: bool
    flags: tuple[str, ...]  # of the command line, for suggested commands
    check_request: CheckRequest | None = None  # a check sets its target by discovery
    auth: AccountTokens | None = None  # the tokens of `pop3 login`, in place of a password

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

    def known_target(self) -> Target:
        """Return the server, or its place in a text if it is not discovered yet."""
        from restante.client.options import Target

        discovered = self.check_request.target if self.check_request else None
        return self.target or discovered or Target("its server", 995, "implicit", self.name)

    def locate(self) -> Target:
        """Return the server, discovered if it was not named, within the time for the whole command.

        A person at a terminal is asked about a server of another domain. Raises CommandFailed.
        """
        if self.target is None:
            begun = time.monotonic()
            self.target, prompted = discover(self.name, self.seconds, self.flags)
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

            asks = any(option.name == "password" for option in self.params)
            ctx.fail(describe_extra(ctx.params.get("account", ""), left, asks=asks))
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


def select_account_options(params: dict[str, Any]) -> dict[str, Any]:
    """Return the values of the options that `account_options` adds, without a command's own."""
    names = {option.name for option in options_of(*CONNECTION_OPTIONS, password_options)}
    return {name: value for name, value in params.items() if name in names}


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
    password_named = is_password_named(params)
    password = password_getter(params, lambda: account.known_target())  # noqa: PLW0108  # it is made below
    target, guess = read_target(name, params, flags, login=login)
    if login:
        _require_user(name, target)
    verbose = params.pop("verbose")
    seconds = params.pop("max_time") or total
    verify = not params.pop("insecure")
    cacert = params.pop("cacert")
    trust = trust_context(cacert) if read_cacert else None
    account = AccountArgs(
        name=name,
        target=target,
        options=client_options(
            params, seconds=seconds, trust=trust, verify=verify, verbose=verbose
        ),
        password=password,
        password_named=password_named,
        guess=guess,
        verify=verify,
        trust=trust,
        cacert=cacert,
        seconds=seconds,
        verbose=verbose,
        flags=flags,
    )
    user = target.user if target else ""
    if not password_named and (login or user):
        entry = find_entry(typed)
        account.auth = find_tokens(typed, name, user, entry, account.known_target)
    return account


def _require_user(name: str, target: Target | None) -> None:
    """Raise click.UsageError if an account with a known server names no user."""
    if target is not None and not target.user:
        from restante.cli.options.account_errors import describe_no_user

        raise click.UsageError(describe_no_user(name))


def _repeated_options(params: dict[str, Any]) -> Iterator[str]:
    """Yield what suggested commands repeat and the report does not know; no secret is in it."""
    for option in click.get_current_context().command.params:
        value = params.get(option.name or "")
        if option.name in _REPEATED and value:
            yield max(option.opts, key=len)
            if value is not True:
                yield f"{value:g}" if isinstance(value, float) else str(value)
