"""The tokens that `pop3 login` keeps for an account, for every command that logs in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from restante.file_kinds import exists

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from restante.client.options import Target
    from restante.oauth.known_end import KnownEnd
    from restante.oauth.providers import Provider
    from restante.oauth.token_source import StoredTokenSource
    from restante.oauth.token_store import TokenStore


class AccountTokens:
    """The stored tokens of an account, as a `TokenSource`.

    They are sent only to the server that they are for, or to another one of the same provider.

    Attributes:
        name: what they are kept by.
        last_token: the last access token that was given, to explain a refusal by its claims.
    """

    def __init__(self, name: str, table: Mapping[str, Any], target: Callable[[], Target]) -> None:
        self.name = name
        self.last_token = ""
        self._table = table
        self._target = target
        self._found: StoredTokenSource | None = None

    def token(self) -> str:
        """Return an access token. Raises OAuthError, TokenStoreError."""
        self.last_token = self._source().token()
        return self.last_token

    def renew(self, refused: str) -> str | None:
        """Return another token after a refusal, None for none. Raises OAuthError."""
        return self._source().renew(refused)

    def open_store(self) -> TokenStore:
        """Return the store that has them."""
        from restante.oauth.token_store import TokenStore

        return TokenStore(key_command=key_command_of(self._table))

    def open_source(self) -> StoredTokenSource:
        """Return their source, for whatever server."""
        from restante.oauth.token_source import StoredTokenSource

        return StoredTokenSource(self.name, self.open_store())

    def known_end(self) -> KnownEnd | None:
        """Return when the sign-in ends, None if that is not known. Raises TokenStoreError."""
        from restante.oauth.known_end import known_end
        from restante.oauth.settings import read_settings

        stored = self.open_store().load(self.name)
        if stored is None:
            return None
        try:
            settings = read_settings(_oauth_table(self._table))
        except ValueError as error:
            raise click.UsageError(str(error)) from None
        return known_end(stored, _provider(stored.sign_in.provider), settings)

    def _source(self) -> StoredTokenSource:
        """Return the source. Raises TokenStoreError: the tokens are for another server."""
        from restante.oauth.errors import TokenStoreError

        if self._found is None:
            stored = self.open_store().load(self.name)
            host = self._target().host
            if stored and host != stored.host and not _same_provider(host, stored.sign_in.provider):
                text = (
                    f"the tokens of {self.name} are for {stored.host}, so they are not sent to"
                    f" {host}; run pop3 login for this server, or use a --password option"
                )
                raise TokenStoreError(text)
            self._found = self.open_source()
        return self._found


def find_tokens(
    typed: str, account: str, user: str, table: Mapping[str, Any], target: Callable[[], Target]
) -> AccountTokens | None:
    """Return the stored tokens of an account, None without any.

    Args:
        typed: the account on the command line.
        account: what that stands for in the file of accounts.
        user: the user name of the login, "" if it is not known.
        table: the account's table in the file of accounts.
        target: returns the server of the login, once it is known.

    They are kept by one of these names, or by that of the user that signed in for a shared mailbox.
    A user name without a domain is not unique: it may be another account's name in the file.
    """
    from restante.oauth.errors import TokenStoreError
    from restante.oauth.token_names import default_folder, has_tokens, name_of

    folder = None
    try:
        folder = default_folder()
        if not exists(folder):
            return None
        login_as = str(_oauth_table(table).get("login_as", ""))
        addresses = [name for name in (user, login_as) if "@" in name]
        names = [name_of(typed), name_of(account), *addresses]
        stored_name = next((name for name in names if has_tokens(folder, name)), None)
    except (ValueError, TokenStoreError):  # no home, or the account is invalid: reported elsewhere
        return None
    except OSError as error:
        from restante.system_errors import explain_path

        raise click.UsageError(explain_path(folder, error)) from None
    return AccountTokens(stored_name, table, target) if stored_name else None


def describe_end(name: str) -> str | None:
    """Return when the stored sign-in of an account ends, and why, None if that is not known."""
    import time

    from restante.cli.options.account_file import find_entry
    from restante.oauth.errors import TokenStoreError
    from restante.oauth.token_names import default_folder, has_tokens

    try:
        if not has_tokens(default_folder(), name):
            return None
        tokens = AccountTokens(name, find_entry(name), _no_target)
        end = tokens.known_end()
    except (TokenStoreError, click.UsageError) as error:
        return str(error)
    except OSError as error:
        return f"the tokens cannot be read: {error.strerror}"
    return f"{time.strftime('%Y-%m-%d', time.gmtime(end.at))}: {end.why}" if end else None


def _no_target() -> Target:
    raise AssertionError("no login is under way")


def key_command_of(table: Mapping[str, Any]) -> str:
    """Return the command that prints the passphrase for an account's tokens, "" for none."""
    return str(_oauth_table(table).get("key_command", ""))


def _oauth_table(table: Mapping[str, Any]) -> Mapping[str, Any]:
    oauth = table.get("oauth")
    return oauth if isinstance(oauth, dict) else {}


def _same_provider(host: str, name: str) -> bool:
    """Return whether a host is a mail server of a provider in the table."""
    row = _provider(name)
    return row is not None and row.has_host(host)


def _provider(name: str) -> Provider | None:
    """Return a row of the table of providers. Raises click.UsageError: its file is invalid."""
    from restante.cli.options.account_file import configuration_folder
    from restante.oauth.providers import load_providers

    try:
        return load_providers(configuration_folder()).get(name)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
