"""`pop3 token` and `pop3 logout`: the tokens that `pop3 login` keeps."""

from __future__ import annotations

import base64
import time
from typing import TYPE_CHECKING

import click

from restante.cli.errors import CommandFailed, error_reporting
from restante.cli.options.account import AccountCommand
from restante.cli.options.account_file import describe_unknown, find_account, find_entry
from restante.cli.output.sign_in import describe_seconds
from restante.cli.output.terminal import plain
from restante.cli.output.units import fill, widest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from restante.cli.options.stored_tokens import AccountTokens
    from restante.oauth.token_store import StoredSignIn

MISSING = 2


@click.command(cls=AccountCommand)
@click.argument("account", required=False)
@click.option("--sasl", is_flag=True, help="Print the response of XOAUTH2 to AUTH, in base64.")
@click.option("--show", is_flag=True, help="Show what the token is for, and not the token.")
@click.option("--list", "list_all", is_flag=True, help="List all accounts that have tokens.")
def token(account: str | None, *, sasl: bool, show: bool, list_all: bool) -> None:
    """Print an access token of an account, for another program.

    The token is refreshed if that is due. Treat the output as a password: it opens the mailbox
    until the token expires.
    """
    if sum((sasl, show, list_all)) > 1:
        raise click.UsageError("--sasl, --show and --list exclude one another; use one")
    if list_all != (account is None):
        raise click.UsageError("name an account, or use --list for all of them")
    with error_reporting():
        if account is None:
            _list_accounts()
            return
        tokens, user = find_stored(account, "run pop3 login {}")
        if show:
            _show(tokens, user)
            return
        access = tokens.open_source().token()
    if sasl:
        message = f"user={user}\x01auth=Bearer {access}\x01\x01"
        click.echo(base64.b64encode(message.encode()).decode())
    else:
        click.echo(access)


@click.command(cls=AccountCommand)
@click.argument("account")
def logout(account: str) -> None:
    """Revoke the tokens of an account at its issuer, and forget them.

    If the issuer or the keyring cannot be asked, all other copies are forgotten all the same, and
    the exit code is 1.
    """
    from restante.oauth.errors import TokenStoreError

    with error_reporting():
        tokens, _ = find_stored(account, "there is nothing to revoke or forget")
        with tokens.open_store().edit(tokens.name) as entry:  # no refresh replaces them meanwhile
            try:
                stored = entry.load()
            except TokenStoreError as error:
                doubt: str = str(error)
            else:
                doubt = _revoke(stored) if stored else ""
            left = entry.forget()
    click.echo(f"The tokens of {plain(tokens.name)} are forgotten.")
    if doubt:
        text = f"They were not revoked: {doubt}. Remove the access on the account's security page."
        click.echo(plain(text), err=True)
    if left:
        click.echo(plain(f"Not all was removed: {left}."), err=True)
    if doubt or left:
        click.get_current_context().exit(1)


def find_stored(account: str, advice: str) -> tuple[AccountTokens, str]:
    """Return the stored tokens of an account, and the user name of its login.

    `advice` follows the error that there are none, with the account in place of "{}".

    Raises CommandFailed: there are none. Raises ValueError, click.UsageError: it is not an account.
    """
    from restante.cli.options.stored_tokens import find_tokens
    from restante.client.mail_address import unwrap_address
    from restante.client.options import Target, parse_url

    account = unwrap_address(account)
    table = find_entry(account)
    name = find_account(account)[0]
    target = parse_url(name) if "://" in name else Target("unknown", 995, "implicit", name)
    user = str(table.get("user") or target.user)
    tokens = find_tokens(account, name, user, table, lambda: target)
    if tokens is None:
        if not table and "@" not in name:
            raise click.UsageError(describe_unknown(name, option=""))
        text = f"no tokens are stored for {plain(account)}; {advice.format(plain(account))}"
        raise CommandFailed(f"pop3: {text}", MISSING)
    return tokens, user


def _revoke(stored: StoredSignIn) -> str:
    """Let the issuer revoke the tokens. Return why it did not, "" if it did. RFC 7009."""
    from restante.oauth import token_endpoint
    from restante.oauth.errors import OAuthError, TokenStoreError
    from restante.oauth.token_source import endpoint_of

    sign_in = stored.sign_in
    if stored.ended:
        return ""
    if not sign_in.revocation_url:
        return "the issuer has no address for that"
    try:
        endpoint = endpoint_of(sign_in)
        secret = sign_in.tokens.refresh or sign_in.tokens.access
        token_endpoint.revoke(endpoint, sign_in.revocation_url, secret)
    except (OAuthError, TokenStoreError) as error:
        return str(error)
    return ""


def _show(tokens: AccountTokens, user: str) -> None:
    """Print what is stored for an account, without a secret."""
    from restante.diagnosis.token_refusals import describe_claims
    from restante.oauth.errors import TokenStoreError

    stored = tokens.open_store().load(tokens.name)
    if stored is None:
        raise TokenStoreError(f"there are no tokens for {tokens.name}")
    rows = [("account", tokens.name), ("user", user), *_rows(stored)]
    end = tokens.known_end()
    if end is not None:
        day = time.strftime("%Y-%m-%d", time.gmtime(end.at))
        rows.append(("ends", f"{day}: {end.why}"))
    rows += describe_claims(stored.sign_in.tokens.access.reveal().decode())
    for label, text in rows:
        click.echo(f"  {label:<12}{plain(text)}")


def _rows(stored: StoredSignIn) -> Iterator[tuple[str, str]]:
    """Yield what a sign-in is for, and its state."""
    sign_in = stored.sign_in
    yield "server", stored.host
    yield "issuer", sign_in.issuer or sign_in.endpoint.url
    yield "client", sign_in.endpoint.client_id
    yield (
        "signed in",
        f"{time.strftime('%Y-%m-%d', time.gmtime(sign_in.signed_in_at))}, by {sign_in.flow}",
    )
    yield "scope", sign_in.tokens.scope
    yield "refresh", "yes" if sign_in.tokens.refresh else "no"
    yield "state", _state(stored)
    if stored.trouble is not None:
        yield "refused", f"{stored.trouble.id}: {stored.trouble.text}"


def _state(stored: StoredSignIn) -> str:
    """Return whether there is an access token, in words."""
    if stored.ended:
        return f"ended ({stored.trouble.id if stored.trouble else 'unknown'})"
    end = stored.sign_in.tokens.expires_at
    if end is None:
        return "an access token without a known end"
    left = end - time.time()
    return f"an access token for {describe_seconds(left)}" if left > 0 else "due for a refresh"


def _list_accounts() -> None:
    """Print each account with its server, issuer and state."""
    from restante.cli.options.stored_tokens import key_command_of
    from restante.oauth.errors import TokenStoreError
    from restante.oauth.token_store import TokenStore

    rows: list[tuple[str, str, str]] = []
    for name in TokenStore().names():
        try:
            stored = TokenStore(key_command=key_command_of(find_entry(name))).load(name)
        except TokenStoreError as error:
            rows.append((name, "", str(error)))
        else:
            rows += [(name, stored.host, _state(stored))] if stored else []
    names, hosts = (widest(row[place] for row in rows) for place in (0, 1))
    for name, host, state in rows:
        click.echo(f"{fill(name, names)}  {fill(host, hosts)}  {plain(state)}")
    if not rows:
        click.echo("No account has tokens; run pop3 login ACCOUNT.")
