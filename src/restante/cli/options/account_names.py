"""The account that an administrator names: one rule for all commands that look it up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from restante.cli.options.accounts import junk_text
from restante.cli.options.values import NonEmptyText
from restante.cli.output.terminal import plain

if TYPE_CHECKING:
    from restante.auth.interfaces import AccountDirectory
    from restante.server.config.schema import Config
    from restante.storage.interfaces import Knows


class AccountName(NonEmptyText):
    """A name that is not blank, in UTF-8."""

    problem = "the name is empty; name an account"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name as it was typed."""
        if any("\ud800" <= character <= "\udfff" for character in value):
            self.fail("the name is not UTF-8; set the terminal to UTF-8", param, ctx)
        return super().convert(value, param, ctx)


class UnknownAccountError(click.ClickException):
    """No account has the name, as far as its source can find it."""

    def __init__(self, name: str, what: str = "does not exist") -> None:
        super().__init__(f"the account {plain(name)} {what}")
        self.name = name


async def find_account(
    config: Config, accounts: AccountDirectory, typed: str, mail: Knows | None = None
) -> str:
    """Return the account with a name, to which `login.default_domain` is added if it has no domain.

    If the source lacks names, the owners of maildrops in `mail` are accounts, too.
    Raises UnknownAccountError, UnavailableError. Raises click.ClickException: it is the name of a
    junk maildrop, which has no settings of its own.
    """
    from restante.delivery.recipients import StoreRecipients
    from restante.junk import account_of, is_junk

    try:
        owner = await find_maildrop(config, accounts, typed)
    except UnknownAccountError as error:
        if mail is None or not config.lacks_names():
            raise
        if await StoreRecipients(mail).owner(error.name) is None:
            raise
        owner = error.name
    if is_junk(owner):
        raise click.ClickException(junk_text(typed, account_of(owner)))
    return owner


async def find_maildrop(config: Config, accounts: AccountDirectory, typed: str) -> str:
    """Return the owner of the maildrop that a name means in a login, which may be a junk maildrop.

    Raises UnknownAccountError, UnavailableError.
    """
    from restante.auth.usernames import with_domain
    from restante.junk import junk_of, without_suffix

    name = with_domain(typed, config.login.default_domain or "")
    if (owner := await _look_up(accounts, name)) is not None:
        return owner
    bare = without_suffix(name, config.mail.junk_suffix if config.mail.junk else "")
    if bare != name and (owner := await _look_up(accounts, bare)) is not None:
        return junk_of(owner)
    raise UnknownAccountError(name, _describe_unknown(config))


def _describe_unknown(config: Config) -> str:
    """Return what the source knows of a name that it does not find."""
    if config.accounts.pam:
        return "is not a user of the system"
    if config.accounts.ldap and not config.ldap.base:
        return "cannot be looked up until ldap.base is set"
    return "does not exist"


async def _look_up(accounts: AccountDirectory, name: str) -> str | None:
    from restante.auth.interfaces import CredentialsError, UncertainError

    try:
        return await accounts.owner(name)
    except (CredentialsError, UncertainError):  # a single look-up is always uncertain
        return None
