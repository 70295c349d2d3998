"""Accounts, and how clients authenticate.

`interfaces` has the protocols that a backend implements. The backends are `file` (a file of
accounts), `pam`, `ldap_accounts` and `sql_accounts`. The queries and connections of each database
are in `postgresql_query` and `mysql_query`, on top of `sql_queries` and `sql_connections`.
`account_rows` reads the settings of an account from a row or an entry. `postgresql_accounts`
changes the accounts that a cluster has of its own. `hash_upgrade` and `sql_hash_upgrade` replace
weak hashes. `oauth` and `issuer` verify bearer tokens. `passwd_file` and `passwd_entry` parse the
file, `dovecot_fields` and `locks` its extra fields. `line_locks` changes a lock, and
`account_changes` finds the accounts whose sessions must end. `usernames` prepares names,
`password_hashing`, `hash_schemes` and `scram` hold the cryptography, and `login_cache` remembers
logins.

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
    FindsFirstOwner,
    KnowsQuotas,
    ListsAccounts,
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
    "FindsFirstOwner",
    "Identity",
    "KnowsQuotas",
    "ListsAccounts",
    "Secret",
    "TokenError",
    "UnavailableError",
    "UncertainError",
]
