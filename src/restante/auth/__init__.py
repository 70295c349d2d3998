"""Accounts, and how clients authenticate.

`interfaces` has the protocols that a backend implements. The backends are a `file` of accounts,
`pam`, a directory (`ldap`) and a database (`sql`); `password_only` is what those have in common
that can check nothing but passwords, and `account_rows` reads the settings of an account from a row
or an entry, `row_locks` its locks. `wrapped_accounts` is a source with one more way to log in:
`app_passwords` and `junk_accounts`. `masters` open the accounts of others. `oauth` verifies bearer
tokens. `passwords` holds the cryptography, `usernames` prepares names, and `client_address` is that
of the client. `locked_names` are locked whatever their source, by `locked_accounts`. `file_reading`
reads a file whenever it changes, beside the event loop; `reloaded_file` is such a file with one
entry a line. `silence` lets logins fail at once while a database or a directory does not answer,
and `fair_queue` lets addresses take turns.

Always: an unknown name and a wrong password cost the same work and get the same reply. A backend
in trouble raises UnavailableError and never says that a name is unknown. A lock locks every
mechanism, and mail for a locked account is still accepted.

API: the names in `__all__`. The modules are not API.
"""

from restante.auth.interfaces import (
    AccountDirectory,
    Authenticator,
    AuthError,
    CachesLogins,
    ClientCertificateError,
    CredentialsError,
    EndsSessions,
    FindsFirstOwner,
    FindsOwner,
    KnowsQuotas,
    ListsAccounts,
    RechecksUsers,
    TokenError,
    UnavailableError,
    UncertainError,
)
from restante.protocol.secret import Secret
from restante.protocol.server.settings import Identity

__all__ = [
    "AccountDirectory",
    "AuthError",
    "Authenticator",
    "CachesLogins",
    "ClientCertificateError",
    "CredentialsError",
    "EndsSessions",
    "FindsFirstOwner",
    "FindsOwner",
    "Identity",
    "KnowsQuotas",
    "ListsAccounts",
    "RechecksUsers",
    "Secret",
    "TokenError",
    "UnavailableError",
    "UncertainError",
]
