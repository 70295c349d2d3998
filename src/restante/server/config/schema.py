"""The tables of the configuration file, and what each key may be."""

from __future__ import annotations

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
    """Where to listen, and what to say.

    Attributes:
        listen: Addresses, as HOST:PORT; an IPv6 host stands in brackets, and * is every address.
        greeting: The text behind the first +OK.
        implementation: What CAPA tells of the server's kind; an empty one is not announced.
        strict_line_ends: Refuse commands that end with LF alone.
        language: What LANG * stands for.
        proxies: Networks whose connections begin with a PROXY header, version 1 or 2.
        workers: Processes that serve, a core each; "auto" is one for each core.
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
    """TLS 1.2 and later; earlier versions only where `legacy_listen` says so.

    Attributes:
        listen: Addresses where TLS comes first, such as "*:995".
        legacy_listen: The same for old clients: TLS 1.0 and weak ciphers too.
        certificates: Tables with `certificate` and `key`, PEM files. The first one serves who names
            no host or an unknown one. They are loaded again when they change, and on SIGHUP.
        client_ca: Certificates of those who may certify clients; who shows one may use EXTERNAL.
    """

    listen: tuple[str, ...] = ()
    legacy_listen: tuple[str, ...] = ()
    certificates: tuple[CertificateSection, ...] = ()
    client_ca: Path | None = None


class LoginSection(ConfigSection):
    """How clients log in.

    Attributes:
        clear_text: From where passwords may come without TLS: "loopback", "always" or "never".
        delay: Seconds between two logins of a user; announced by CAPA, and enforced.
        scram: "auto" offers SCRAM when every account has keys for it, "never" does not. "always"
            offers SCRAM-SHA-256, and SCRAM-SHA-1 as soon as one account has keys for that.
        scram_plus: "auto" announces the -PLUS forms on TLS 1.2. On TLS 1.3 clients want a binding
            (tls-exporter) that Python cannot give, and some do not fall back; "always" announces
            them there too, with tls-server-end-point.
        apop: Offer APOP, for accounts that have a shared secret.
        cram_md5: Offer CRAM-MD5, for the same.
    """

    clear_text: ClearText = "loopback"
    delay: Annotated[int, msgspec.Meta(ge=1, le=86_400)] | None = None
    scram: Literal["auto", "always", "never"] = "auto"
    scram_plus: Literal["auto", "always"] = "auto"
    apop: bool = False
    cram_md5: bool = False


class TokensSection(ConfigSection):
    """Bearer tokens, for OAUTHBEARER and XOAUTH2: either `jwks` or `introspection` says which.

    Attributes:
        jwks: A file or an https URL with the issuer's keys; http only on this machine.
        introspection: The issuer's https URL of RFC 7662; http only on this machine.
        client: The name by which the issuer knows this server.
        client_secret_file: A file with the secret that belongs to it.
        issuer: What a token must say as `iss`.
        audience: What a token must say as `aud`.
        user_claim: The claim with the name of the account.
    """

    jwks: str | None = None
    introspection: str | None = None
    client: str = ""
    client_secret_file: Path | None = None
    issuer: str | None = None
    audience: str | None = None
    user_claim: str = "email"


class MailSection(ConfigSection):
    """Where maildrops lie.

    Attributes:
        folder: The folder with all of them. It must be there.
        format: "maildir", a folder with a file for each message, or "mbox", one file with all.
        layout: A user's Maildir or mbox below it, made of {user}, or of {local} and {domain};
            {local} alone serves one domain only.
        expire_days: Remove messages so many days after they came; without it none ever. CAPA tells.
        utf8_headers: What a client that did not say UTF8 gets where a header is in UTF-8: the
            message "as-stored", as fetchers need it, a "surrogate" of its header, or "refuse".
        unique_ids: "own"; or what `pop3_uidl_format` was in Dovecot, "%08Xu%08Xv" if not set; or
            "courier"; or, for an mbox, "x-uidl". Then messages keep the unique-ids that clients
            know from the server before.
    """

    folder: Path
    format: Literal["maildir", "mbox"] = "maildir"
    layout: str = "{user}"
    expire_days: Annotated[int, msgspec.Meta(ge=1, le=100_000)] | None = None
    utf8_headers: Utf8HeaderPolicy = "as-stored"
    unique_ids: str = RESTANTE_UIDS


class AccountsSection(ConfigSection):
    """Who may log in: a file, PAM, or a PostgreSQL database; one of them.

    Attributes:
        users: The file of accounts, read again whenever it changes.
        pam: The PAM service to ask, a file in /etc/pam.d.
        postgresql_dsn_file: A file with where the database is, "postgresql://USER:PASSWORD@HOST/DB".
        postgresql_query: Gets the user's name as $1; returns `password`, a hash, and maybe `name`.
        postgresql_check: Returns a row while the accounts are there; asked until a name was found.
        remember: Seconds for which a password of the file that was right is not hashed again; 0 for
            never. A change of the file ends it at once.
    """

    users: Path | None = None
    pam: str | None = None
    postgresql_dsn_file: Path | None = None
    postgresql_query: str | None = None
    postgresql_check: str | None = None
    remember: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = 300


class DeliverySection(ConfigSection):
    """How mail comes in, from programs on this machine; nobody has to log in for that.

    Attributes:
        lmtp: The file of a Unix socket, such as "/run/restante/lmtp", or a loopback HOST:PORT.
        smtp: A loopback HOST:PORT for SMTP, for programs that are tested; it forwards nothing.
        socket_mode: The permissions of that file, in octal; who may write to it may deliver.
        socket_group: Its group, such as "postfix"; without it, the folder's or the server's own.
        recipients: Who may get mail: "accounts" asks the accounts for the name, "folders" wants a
            Maildir that is there already, and "auto" is "folders" with PAM and else "accounts".
        recipient_delimiter: Where the extension of an address begins, as in ann+lists; "" for none.
        received: Write a Received line for LMTP too; the MTA has written its own.
        message_size: The greatest message, in octets.
        connections: At once; more are told to come back later.
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
    """All in seconds.

    Attributes:
        login: How long a client may take for each command until it has logged in.
        before_login: How long a client may take for all of that, TLS and refused logins included.
        idle: How long a client may take for each command after login, and the mail store for an
            answer. RFC 1939 wants at least 600.
        lock: How long a login waits for a maildrop that another session holds.
        write: How long a client may take fewer than 80 octets a second of a reply.
        stop: How long replies under way may take when the server ends.
        reload: How long sessions may go on in workers that a reload has replaced.
    """

    login: Seconds = _DEFAULTS.login_timeout
    before_login: Seconds = _DEFAULTS.authorization_timeout
    idle: Annotated[float, msgspec.Meta(ge=600, le=86_400)] = _DEFAULTS.idle_timeout
    lock: Annotated[float, msgspec.Meta(ge=0, le=60)] = 3
    write: Seconds = 600
    stop: Seconds = 10
    reload: Seconds = 600


class LimitsSection(ConfigSection):
    """What the server takes upon itself.

    Attributes:
        connections: At once; more hear -ERR [SYS/TEMP] and are closed.
        connections_per_address: The same from one address, or one /64 of IPv6.
        sessions_per_user: The same of one user; all but one of them wait for the maildrop.
        count_loopback: Let limits and delays hold for this machine's own connections too.
        bad_commands_before_login: In a row; then the connection is closed.
        bad_commands_after_login: The same after login.
        refused_logins: Of one connection, for whatever reason; then it is closed.
    """

    connections: Count = MAX_CONNECTIONS
    connections_per_address: Count = MAX_PER_ADDRESS
    sessions_per_user: Count = MAX_PER_USER
    count_loopback: bool = False
    bad_commands_before_login: Annotated[int, msgspec.Meta(ge=10, le=1000)] = 10
    bad_commands_after_login: Annotated[int, msgspec.Meta(ge=30, le=1000)] = 30
    refused_logins: Annotated[int, msgspec.Meta(ge=3, le=1000)] = _DEFAULTS.refused_logins


class LogSection(ConfigSection):
    """One line an event, on standard error.

    Attributes:
        format: "text" is key=value, "json" is JSON.
    """

    format: Format = "text"


class Config(ConfigSection):
    """A whole file."""

    mail: MailSection
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
        """Return the part that the protocol wants to know."""
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
        )
