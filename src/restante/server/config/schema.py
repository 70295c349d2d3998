"""The tables of the configuration file, and what each key may be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import msgspec

from restante.protocol.server.settings import ProtocolSettings
from restante.server.event_log import Format
from restante.server.limits.server_limits import MAX_CONNECTIONS, MAX_PER_ADDRESS, MAX_PER_USER
from restante.server.policies import ClearText, Utf8HeaderPolicy

Seconds: TypeAlias = Annotated[float, msgspec.Meta(gt=0, le=86_400)]
MOST_WORKERS = 64
Count: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]

RESTANTE_UIDS, COURIER, X_UIDL = "own", "courier", "x-uidl"  # unique-ids

_DEFAULTS = ProtocolSettings()


class ConfigSection(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A table of the file; the reference page is made of its docstring and fields."""


class ServerSection(ConfigSection):
    """Addresses, greeting and processes of the server.

    Attributes:
        listen: Addresses as HOST:PORT. An IPv6 address is in brackets, and * means every address.
        greeting: The text after the first +OK.
        implementation: The text of IMPLEMENTATION in CAPA. An empty text is not announced.
        strict_line_ends: Reject commands that end with LF alone.
        language: The language that LANG * selects.
        proxies: Networks whose connections begin with a PROXY header, version 1 or 2.
        workers: The number of worker processes, or "auto" for one per CPU core.
    """

    listen: tuple[str, ...] = ("127.0.0.1:110", "[::1]:110")
    greeting: str = _DEFAULTS.greeting
    implementation: str = _DEFAULTS.implementation
    strict_line_ends: bool = False
    language: Literal["en", "de", "es", "fr"] = "en"
    proxies: tuple[str, ...] = ()
    workers: Annotated[int, msgspec.Meta(ge=1, le=MOST_WORKERS)] | Literal["auto"] = 1


class CertificateSection(ConfigSection):
    """The PEM files of a certificate, with its chain, and of its key."""

    certificate: Path
    key: Path


class TlsSection(ConfigSection):
    """TLS 1.2 and later. Only `legacy_listen` allows earlier versions.

    Attributes:
        listen: Addresses with TLS from the first octet, such as "*:995".
        legacy_listen: Such addresses for old clients, which also allow TLS 1.0 and weak ciphers.
        certificates: Tables with `certificate` and `key`, PEM files. Clients without a server name,
            or with an unknown one, get the first. Changed files and SIGHUP load them again.
        client_ca: Authorities of client certificates. Clients with such a certificate can use
            EXTERNAL.
    """

    listen: tuple[str, ...] = ()
    legacy_listen: tuple[str, ...] = ()
    certificates: tuple[CertificateSection, ...] = ()
    client_ca: Path | None = None


class LoginSection(ConfigSection):
    """How clients log in.

    Attributes:
        clear_text: Which clients can log in without TLS: "loopback", "always" or "never".
        delay: Seconds between two logins of a user, announced by CAPA and enforced.
        scram: "auto" offers SCRAM if every account has keys for it, "never" does not. "always"
            offers SCRAM-SHA-256, and SCRAM-SHA-1 as soon as one account has keys for it.
        scram_plus: "auto" announces the -PLUS forms on TLS 1.2. On TLS 1.3 clients require the
            binding tls-exporter, which Python does not support, and some do not fall back. "always"
            announces them on TLS 1.3, too, with tls-server-end-point.
        apop: Offer APOP for accounts with a shared secret.
        cram_md5: Offer CRAM-MD5 for accounts with a shared secret.
    """

    clear_text: ClearText = "loopback"
    delay: Annotated[int, msgspec.Meta(ge=1, le=86_400)] | None = None
    scram: Literal["auto", "always", "never"] = "auto"
    scram_plus: Literal["auto", "always"] = "auto"
    apop: bool = False
    cram_md5: bool = False


class TokensSection(ConfigSection):
    """Bearer tokens for OAUTHBEARER and XOAUTH2, verified by either `jwks` or `introspection`.

    Attributes:
        jwks: A file or an https URL with the issuer's keys. http is for this machine only.
        introspection: The issuer's https URL of RFC 7662. http is for this machine only.
        client: The name of this server at the issuer.
        client_secret_file: A file with the secret for that name.
        issuer: The required value of `iss` in a token.
        audience: The required value of `aud` in a token.
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
            return _DEFAULTS.refused_token
        fields = {"status": "invalid_token", "openid-configuration": self.metadata_url}
        return json.dumps(fields, separators=(",", ":"))


class MailSection(ConfigSection):
    """Where and how mail is stored.

    Attributes:
        folder: The folder of all maildrops. It must exist. Only "cluster" does not require it.
        format: "maildir", a folder with a file per message; "mbox", one file with all messages; or
            "cluster", the database of the section [cluster].
        layout: The path of a Maildir or mbox in the folder, made of {user}, or of {local} and
            {domain}. {local} alone serves one domain only.
        expire_days: Remove messages this many days after their arrival. CAPA announces it. Without
            it, messages are not removed.
        utf8_headers: The form of a header in UTF-8 for clients without UTF8: the message
            "as-stored", as fetchers require, a "surrogate" of its header, or "refuse".
        unique_ids: "own"; or Dovecot's `pop3_uidl_format`, by default "%08Xu%08Xv"; or "courier";
            or "x-uidl" for an mbox. Messages then keep the unique-ids of the earlier server.
    """

    folder: Path | None = None
    format: Literal["maildir", "mbox", "cluster"] = "maildir"
    layout: str = "{user}"
    expire_days: Annotated[int, msgspec.Meta(ge=1, le=100_000)] | None = None
    utf8_headers: Utf8HeaderPolicy = "as-stored"
    unique_ids: str = RESTANTE_UIDS


class ShardSection(ConfigSection):
    """A further database of a cluster, and the object store for its large bodies."""

    postgresql_dsn_file: Path
    objects: str | None = None
    objects_secret_file: Path | None = None


class ClusterSection(ConfigSection):
    """The mail of several nodes, for `format = "cluster"`. All nodes have the same values.

    Attributes:
        postgresql_dsn_file: A file with the address of the database,
            "postgresql://USER:PASSWORD@HOST/DB". Of several hosts, "HOST,HOST", the primary counts.
        objects: The object store for large bodies: "s3://BUCKET", "gs://BUCKET", "az://CONTAINER"
            or a folder that all nodes share. Without it, all bodies are in PostgreSQL.
        objects_secret_file: A file with the options of the object store, such as its endpoint and
            keys.
        inline: The size limit of a body in PostgreSQL, in octets, if there is an object store.
        lease: Seconds after which a silent node has lost its maildrops to the others.
        grace: Seconds for which the object store keeps a removed body. It must be no less than the
            age of the oldest backup that you may restore.
        connections: The limit of connections to PostgreSQL of each worker, beside one for its
            beat.
        quota_octets: The quota of a maildrop in octets, unless it has its own. More mail waits.
        quota_messages: The same in messages.
        pooler: PgBouncer is in front of PostgreSQL, in transaction mode.
        shards: Tables [cluster.shards.NAME] of further databases, with their own
            `postgresql_dsn_file`, `objects` and `objects_secret_file`. `pop3 store move` moves mail
            there. The database above has the name "first".
    """

    postgresql_dsn_file: Path | None = None
    objects: str | None = None
    objects_secret_file: Path | None = None
    inline: Annotated[int, msgspec.Meta(ge=0, le=1024 * 1024 * 1024)] = 32_768
    lease: Annotated[float, msgspec.Meta(ge=1, le=600)] = 10
    grace: Annotated[float, msgspec.Meta(ge=0, le=315_360_000)] = 2_592_000
    connections: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 8
    quota_octets: Annotated[int, msgspec.Meta(ge=1, le=2**60)] | None = None
    quota_messages: Annotated[int, msgspec.Meta(ge=1, le=2**31)] | None = None
    pooler: bool = False
    shards: dict[str, ShardSection] = {}


class AccountsSection(ConfigSection):
    """The accounts: a password file, PAM, or a PostgreSQL database.

    Attributes:
        users: The password file. Changes are loaded at once.
        pam: The PAM service, a file in /etc/pam.d.
        postgresql_dsn_file: A file with the address of the database,
            "postgresql://USER:PASSWORD@HOST/DB".
        postgresql_query: A query with the user's name as $1. It returns `password`, a hash, and
            optionally `name`, `login_delay` and `expire_days`. If $1 is an array, it gets all
            names, and `login` is required.
        postgresql_check: A query that returns a row if the table of accounts is in order. It runs
            until a name was found.
        postgresql_list: A query for the `name` of each account, and optionally `expire_days`.
            `mail.expire_days` requires it.
        remember: Seconds for which a verified password is cached, 0 for never. A change of the file
            clears the cache. With PostgreSQL, a cached password holds while its hash is the same.
    """

    users: Path | None = None
    pam: str | None = None
    postgresql_dsn_file: Path | None = None
    postgresql_query: str | None = None
    postgresql_check: str | None = None
    postgresql_list: str | None = None
    remember: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = 1200


class DeliverySection(ConfigSection):
    """How mail arrives from programs on this machine. Delivery requires no login.

    Attributes:
        lmtp: The file of a Unix socket, such as "/run/restante/lmtp", or a loopback HOST:PORT.
        smtp: A loopback HOST:PORT for SMTP, for tests of programs. It does not relay.
        socket_mode: The permissions of the socket, in octal. Programs with write permission can
            deliver.
        socket_group: The group of the socket, such as "postfix". The default is that of the folder
            or of the server.
        recipients: Which recipients exist: "accounts" are the accounts, "folders" the existing
            Maildirs. "auto" is "folders" with PAM, and "accounts" otherwise.
        recipient_delimiter: The delimiter before an address extension, as in ann+lists, or "".
        received: Add a Received line for LMTP, too. The MTA has added its own.
        message_size: The size limit of a message, in octets.
        connections: The limit of simultaneous connections. Further clients must try again later.
    """

    lmtp: str | None = None
    smtp: str | None = None
    socket_mode: Annotated[str, msgspec.Meta(pattern="^0?[0-7]{3}$")] = "0660"
    socket_group: str | None = None
    recipients: Literal["auto", "accounts", "folders"] = "auto"
    recipient_delimiter: Annotated[str, msgspec.Meta(max_length=1)] = "+"
    received: bool = False
    message_size: Annotated[int, msgspec.Meta(ge=65_536, le=2**31)] = 64 * 1024 * 1024
    connections: Count = 100


class TimeoutsSection(ConfigSection):
    """All times are in seconds.

    Attributes:
        login: Time limit of a client for each command before login.
        before_login: Time limit of a client before login in total, with TLS and rejected logins.
        idle: Time limit of a client for each command after login, and of the mail store. RFC 1939
            requires at least 600.
        lock: Time that a login waits for a maildrop which another session holds.
        write: Time for which a client may read fewer than 80 octets per second of a reply.
        stop: Time for replies under way when the server stops.
        reload: Time for sessions in workers that a reload has replaced.
    """

    login: Seconds = _DEFAULTS.login_timeout
    before_login: Seconds = _DEFAULTS.authorization_timeout
    idle: Annotated[float, msgspec.Meta(ge=600, le=86_400)] = _DEFAULTS.idle_timeout
    lock: Annotated[float, msgspec.Meta(ge=0, le=60)] = 3
    write: Seconds = 600
    stop: Seconds = 10
    reload: Seconds = 600


class LimitsSection(ConfigSection):
    """Limits of connections, sessions and commands.

    Attributes:
        connections: Simultaneous connections. Further ones get -ERR [SYS/TEMP] and are closed.
        connections_per_address: Simultaneous connections from one address, or one /64 of IPv6.
        sessions_per_user: Simultaneous sessions of one user. All but one wait for the maildrop.
        count_loopback: Apply limits and delays to connections of this machine, too.
        bad_commands_before_login: Bad commands in a row before login that close the connection.
        bad_commands_after_login: Bad commands in a row after login that close the connection.
        refused_logins: Rejected logins, for any reason, that close the connection.
    """

    connections: Count = MAX_CONNECTIONS
    connections_per_address: Count = MAX_PER_ADDRESS
    sessions_per_user: Count = MAX_PER_USER
    count_loopback: bool = False
    bad_commands_before_login: Annotated[int, msgspec.Meta(ge=10, le=1000)] = 10
    bad_commands_after_login: Annotated[int, msgspec.Meta(ge=30, le=1000)] = 30
    refused_logins: Annotated[int, msgspec.Meta(ge=3, le=1000)] = _DEFAULTS.refused_logins


class LogSection(ConfigSection):
    """One line per event, on standard error.

    Attributes:
        format: "text" for key=value, or "json".
    """

    format: Format = "text"


class Config(ConfigSection):
    """A whole configuration file."""

    mail: MailSection = msgspec.field(default_factory=MailSection)
    cluster: ClusterSection = msgspec.field(default_factory=ClusterSection)
    accounts: AccountsSection = msgspec.field(default_factory=AccountsSection)
    server: ServerSection = msgspec.field(default_factory=ServerSection)
    tls: TlsSection = msgspec.field(default_factory=TlsSection)
    login: LoginSection = msgspec.field(default_factory=LoginSection)
    tokens: TokensSection = msgspec.field(default_factory=TokensSection)
    delivery: DeliverySection = msgspec.field(default_factory=DeliverySection)
    timeouts: TimeoutsSection = msgspec.field(default_factory=TimeoutsSection)
    limits: LimitsSection = msgspec.field(default_factory=LimitsSection)
    log: LogSection = msgspec.field(default_factory=LogSection)

    def settings(self) -> ProtocolSettings:
        """Return the settings of the protocol."""
        return ProtocolSettings(
            greeting=self.server.greeting,
            implementation=self.server.implementation,
            login_timeout=self.timeouts.login,
            authorization_timeout=self.timeouts.before_login,
            idle_timeout=self.timeouts.idle,
            apop=self.login.apop,
            language=self.server.language,
            strict_line_ends=self.server.strict_line_ends,
            bad_commands_before_login=self.limits.bad_commands_before_login,
            bad_commands_after_login=self.limits.bad_commands_after_login,
            refused_logins=self.limits.refused_logins,
            refused_token=self.tokens.refused_token(),
        )
