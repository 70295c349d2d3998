"""The table `oauth` of an account in the file of accounts."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import msgspec

from restante.near_names import suggest_names
from restante.oauth.flows import Flow
from restante.oauth.providers import MailProtocol

if TYPE_CHECKING:
    from collections.abc import Mapping


class OAuthSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """How the user of an account signs in. All keys are optional.

    Attributes:
        provider: a row of the table of providers.
        issuer: the issuer of another server, an https URL.
        tenant: the tenant at a provider that has tenants.
        client_id: the id of the user's own client.
        client_secret_command: prints the secret of that client.
        protocols: the protocols that the tokens are for.
        scope: what to ask for, in place of what the table or the issuer says.
        flow: the only flow to use.
        key_command: prints the passphrase that encrypts the tokens of this account.
        login_as: the user that signs in, if the mailbox is shared and has another name.
        client_secret_expires: the day on which the secret expires, for `pop3 monitor`.
        testing: the client is registered for tests only, so that its sign-ins end early.
    """

    provider: str = ""
    issuer: str = ""
    tenant: str = ""
    client_id: str = ""
    client_secret_command: str = ""
    protocols: tuple[MailProtocol, ...] = ("pop",)
    scope: str = ""
    flow: Flow | None = None
    key_command: str = ""
    login_as: str = ""
    client_secret_expires: dt.date | None = None
    testing: bool = False


def read_settings(table: Mapping[str, object]) -> OAuthSettings:
    """Return the settings of a table. Raises ValueError: it has another key, or a wrong value."""
    try:
        return msgspec.convert(dict(table), OAuthSettings)
    except msgspec.ValidationError as error:
        unknown = next((key for key in table if key not in OAuthSettings.__struct_fields__), None)
        if unknown is None:
            raise ValueError(f"oauth: {error}") from None
        hint = suggest_names(unknown, OAuthSettings.__struct_fields__, "omit it", 1)
        raise ValueError(f"oauth: {unknown} is not a setting; {hint}") from None
