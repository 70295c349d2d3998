"""The tables about accounts and logins."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from restante.protocol.server.settings import ProtocolSettings
from restante.server.config.section import ConfigSection, Count
from restante.server.policies import ClearText


class LoginSection(ConfigSection):
    """How clients log in.

    Attributes:
        clear_text: Which clients can log in without TLS: "loopback", "always" or "never".
        default_domain: The domain of login names and recipients without one: "example.com" makes
            ann log in as ann@example.com.
        delay: Seconds between two logins of a user, announced by CAPA and enforced.
        scram: "auto" offers SCRAM if every account has keys for it, "never" does not. "always"
            offers SCRAM-SHA-256, and SCRAM-SHA-1 as soon as one account has keys for it.
        scram_plus: "auto" announces the -PLUS forms on TLS 1.2. On TLS 1.3 clients require the
            binding tls-exporter, which Python does not support, and some do not fall back. "always"
            announces them on TLS 1.3, too, with tls-server-end-point.
        take_over: A login ends an idle session of the same user, instead of [IN-USE]. A session in
            the middle of a command stays. With workers, `control.folder` is required, except in a
            cluster, where it also applies to sessions at other nodes.
        name_holder: The reply [IN-USE] names the address of the session that holds the maildrop,
            and its begin. Only the account's user gets it. With workers, `control.folder` lets
            each of them know of the others' sessions. The nodes of a cluster ask each other.
        apop: Offer APOP for accounts with a shared secret.
        cram_md5: Offer CRAM-MD5 for accounts with a shared secret.
    """

    clear_text: ClearText = "loopback"
    default_domain: str | None = None
    delay: Annotated[int, msgspec.Meta(ge=1, le=86_400)] | None = None
    scram: Literal["auto", "always", "never"] = "auto"
    scram_plus: Literal["auto", "always"] = "auto"
    take_over: bool = False
    name_holder: bool = False
    apop: bool = False
    cram_md5: bool = False


class AuthSocketSection(ConfigSection):
    """A Unix socket at which a mail server, such as Postfix or Exim, has its users authenticated.

    It speaks Dovecot's authentication protocol. Logins there use the accounts, mechanisms, limits
    and log of POP3.

    Attributes:
        path: The file of the socket, such as "/var/spool/postfix/restante/auth".
        mode: The permissions of the socket, in octal. Programs with write permission can try
            passwords, and state the addresses of their users.
        group: The group of the socket, such as "postfix". The default is that of the folder or of
            the server.
        connections: The limit of simultaneous connections of each worker. Each process of Postfix
            that serves users has one.
    """

    path: Path | None = None
    mode: Annotated[str, msgspec.Meta(pattern="^0?[0-7]{3}$")] = "0660"
    group: str | None = None
    connections: Count = 500


class TokensSection(ConfigSection):
    """Bearer tokens for OAUTHBEARER and XOAUTH2, verified by either `jwks` or `introspection`.

    Attributes:
        jwks: A file or an https URL with the issuer's keys. http is for this machine only.
        introspection: The issuer's https URL of RFC 7662. http is for this machine only.
        client: The name of this server at the issuer.
        client_secret_file: A file with the secret for that name.
        issuer: The required value of `iss` in a token.
        audience: The required value of `aud` in a token. Without it, a signed token that has `aud`
            is rejected, since it is for another service (RFC 7519).
        user_claim: The claim with the name of the account.
        metadata_url: The https URL of the issuer's metadata, for clients with a token that is
            rejected: they find the issuer by it (RFC 7628).
    """

    jwks: str | None = None
    introspection: str | None = None
    client: str = ""
    client_secret_file: Path | None = None
    issuer: str | None = None
    audience: str | None = None
    user_claim: str = "email"
    metadata_url: str | None = None

    def refused_token(self) -> str:
        """Return what a client gets for an invalid token. RFC 7628 section 3.2.2."""
        if self.metadata_url is None:
            return ProtocolSettings().refused_token
        fields = {"status": "invalid_token", "openid-configuration": self.metadata_url}
        return json.dumps(fields, separators=(",", ":"))


class AccountsSection(ConfigSection):
    """The accounts: a password file, PAM, LDAP, or a PostgreSQL, MySQL or MariaDB database.

    Attributes:
        app_passwords: The file of app passwords, which `pop3 user app-password` writes. They work
            with each source of accounts. Changes are loaded at once. A cluster has them in a table,
            and requires no file.
        locks: The file of locked accounts, which `pop3 user lock` writes. It works with each source
            of accounts. Changes are loaded at once. A cluster has them in a table, and requires no
            file.
        masters: A password file of master users. With its own password, admin opens the account of
            ann as "ann*admin", or with ann as the authorization identity of PLAIN.
        master_separator: The character between both names.
        users: The password file. Changes are loaded at once.
        pam: The PAM service, a file in /etc/pam.d.
        ldap: The URI of an LDAP directory, "ldap://HOST", "ldaps://HOST" or "ldapi://FILE". Of
            several with a space between, the first that answers counts.
        postgresql_dsn_file: A file with the address of the database,
            "postgresql://USER:PASSWORD@HOST/DB".
        postgresql_query: A query with the user's name as $1. It returns `password`, a hash, and
            optionally `name`, settings of the account such as `login_delay`, and locks such as
            `nologin`. If $1 is an array, it gets all names, and `login` is required.
        postgresql_check: A query that returns a row if the table of accounts is in order. It runs
            until a name was found, and after the last names that were found have been removed.
        postgresql_list: A query for the `name` of each account, and optionally `expire_days`.
            `mail.expire_days` requires it.
        postgresql_upgrade: A query that replaces a hash, with the new hash as $1, the name as $2
            and the old hash as $3, which may be omitted.
        mysql_dsn_file: A file with the address of the database,
            "mysql://USER:PASSWORD@HOST/DB". "?socket=FILE" is for a Unix socket, "?ca=FILE" for
            certificates that only this authority signs, "?tls=never" for no TLS to another host.
        mysql_query: A query with "?" for the user's name. It returns what `postgresql_query` does,
            and always `name`. With "IN (?)", it gets all names, and `login` is required.
        mysql_check: As `postgresql_check`.
        mysql_list: As `postgresql_list`.
        mysql_upgrade: As `postgresql_upgrade`, with a "?" for each of the three, in this order.
        upgrade_hashes: Replace a weak hash by argon2id after a login with the correct password. A
            database requires `postgresql_upgrade` or `mysql_upgrade`.
        remember: Seconds for which a verified password is cached, 0 for never. A change of the file
            clears the cache. With a database, a cached password holds while its hash is the same.
    """

    app_passwords: Path | None = None
    locks: Path | None = None
    masters: Path | None = None
    master_separator: Annotated[str, msgspec.Meta(pattern="^[!#$%&*+=^|~]$")] = "*"
    users: Path | None = None
    pam: str | None = None
    ldap: str | None = None
    postgresql_dsn_file: Path | None = None
    postgresql_query: str | None = None
    postgresql_check: str | None = None
    postgresql_list: str | None = None
    postgresql_upgrade: str | None = None
    mysql_dsn_file: Path | None = None
    mysql_query: str | None = None
    mysql_check: str | None = None
    mysql_list: str | None = None
    mysql_upgrade: str | None = None
    upgrade_hashes: bool = False
    remember: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = 1200


class LdapSection(ConfigSection):
    """How `accounts.ldap` finds an account. A bind with its DN proves the password.

    Attributes:
        base: The DN below which the accounts are. Without it, only logins by `user_dn` work.
        filter: The filter for accounts that can log in. "{user}" stands for the name, and
            "{local}" and "{domain}" for its parts.
        mail_filter: The filter for accounts that get mail. The default is `filter`.
        user_dn: The DN of an account, if there is no `base`, such as
            "uid={user},ou=people,dc=example,dc=com".
        name: The attribute with the name of the account. It must have one value.
        bind_dn: The DN of the server for its searches. The default is an anonymous search.
        bind_password_file: A file with the password of `bind_dn`.
        start_tls: "auto" uses StartTLS for "ldap://" to another host, "always" and "never" do what
            they say. Certificates are verified.
        ca_file: A file with the authorities that sign the certificate of the directory. The default
            is that of ldap.conf.
        login_delay: The attribute with the seconds between two logins of the account.
        expire_days: The attribute with the days after which its mail is removed.
        allow_nets: The attribute with the networks from which it can log in.
        quota_octets: The attribute with the quota of the account in octets.
        quota_messages: The attribute with the quota of the account in messages.
    """

    base: str = ""
    filter: str = "(uid={user})"
    mail_filter: str = ""
    user_dn: str = ""
    name: str = "uid"
    bind_dn: str = ""
    bind_password_file: Path | None = None
    start_tls: Literal["auto", "always", "never"] = "auto"
    ca_file: Path | None = None
    login_delay: str = ""
    expire_days: str = ""
    allow_nets: str = ""
    quota_octets: str = ""
    quota_messages: str = ""
