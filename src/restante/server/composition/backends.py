"""From a configuration to the mail store, the accounts, and the delivery from a pipe.

`pop3 deliver` runs once for each message, so this module loads only what it uses. Everything here
raises ConfigError: files that the configuration names cannot be used.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, assert_never, cast

from restante.auth.interfaces import KnowsQuotas, UnavailableError
from restante.auth.wrapped_accounts import unwrap
from restante.file_kinds import is_folder
from restante.input_files import read_utf8
from restante.junk import account_of
from restante.protocol.secret import Secret
from restante.quota import Quota
from restante.server.composition.account_sources import (
    build_hash_upgrader,
    build_ldap_accounts,
    build_mysql_accounts,
    build_sql_hash_upgrader,
)
from restante.server.composition.extras import importing
from restante.server.config.loader import ACCOUNT_BACKENDS, ConfigError, as_config_error
from restante.server.config.mail_sections import COURIER, RESTANTE_UIDS, X_UIDL
from restante.server.log.file_problems import FileProblems
from restante.storage.paths import Layout
from restante.storage.quota import KeepsQuota

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from structlog.typing import FilteringBoundLogger

    from restante.auth.file.accounts import FileAuthenticator
    from restante.auth.interfaces import AccountDirectory, Authenticator, FindsOwner
    from restante.delivery.deliverer import Deliverer
    from restante.delivery.quota import QuotaDelivery
    from restante.delivery.recipients import Recipients
    from restante.server.config.mail_sections import ShardSection
    from restante.server.config.schema import Config
    from restante.storage.cluster import ClusterSettings, ClusterStore
    from restante.storage.cluster.shards import ShardedStore
    from restante.storage.interfaces import Knows, Store
    from restante.storage.maildir import CourierUniqueIds, DovecotUniqueIds, MaildirStore
    from restante.storage.mbox import MboxStore


def build_layout(config: Config) -> Layout:
    """Return the places of the maildrops, which are in a folder."""
    mail = config.mail
    assert mail.folder is not None
    junk = mail.junk or ""
    if junk and "{" not in junk:
        junk = f"{mail.layout}/{junk}"
    try:
        return Layout(mail.folder, mail.layout, junk)
    except ValueError as error:
        raise ConfigError([f"mail.junk: {error}"]) from error


def build_store(config: Config, log: FilteringBoundLogger) -> Store:
    """Return the store of all maildrops."""
    match config.mail.format:
        case "cluster":
            return build_cluster_store(config, log)
        case "maildir":
            return _build_maildir_store(config, log)
        case "mbox":
            return _build_mbox_store(config, log)
        case _:
            assert_never(config.mail.format)


def _build_maildir_store(config: Config, log: FilteringBoundLogger) -> MaildirStore:
    from restante.storage.maildir import MaildirStore
    from restante.storage.maildir.usage import UsageCounter

    def note_made(user: str, folder: Path) -> None:
        log.info("maildir_made", user=account_of(user), folder=str(folder))

    def note_skipped(user: str, reason: str) -> None:
        log.warning("not_expired", user=user, reason=reason)

    def note_unused_list(folder: Path, problem: str) -> None:
        log.warning("unique_ids", folder=str(folder), problem=problem)

    def note_foreign_files(folder: Path, problem: str) -> None:
        log.warning("foreign_files", folder=str(folder), problem=problem)

    mail = config.mail
    _check_mail_folder(config)
    layout = build_layout(config)
    if mail.unique_ids == X_UIDL:
        raise ConfigError([f'mail.unique_ids: "{X_UIDL}" requires format = "mbox"'])
    follow, create = mail.maildirsize == "follow", mail.maildirsize == "create"
    return MaildirStore(
        layout,
        _other_unique_ids(mail.unique_ids),
        note_made,
        note_skipped,
        note_unused_list,
        on_foreign_files=note_foreign_files,
        counter=UsageCounter(follow=follow, create=create),
        keep_deleted=mail.keep_deleted is not None,
    )


def _build_mbox_store(config: Config, log: FilteringBoundLogger) -> MboxStore:
    from restante.storage.mbox import MboxStore

    _check_mail_folder(config)
    layout = build_layout(config)
    unique_ids = config.mail.unique_ids
    if unique_ids not in {RESTANTE_UIDS, X_UIDL}:
        hint = f'omit it for an mbox, or set "{X_UIDL}"'
        raise ConfigError([f"mail.unique_ids: requires Maildirs; {hint}"])
    return MboxStore(
        layout,
        lambda path, problem: log.warning("mbox", path=path, problem=problem),
        x_uidl=unique_ids == X_UIDL,
        keep_deleted=config.mail.keep_deleted is not None,
    )


def _check_mail_folder(config: Config) -> None:
    folder = config.mail.folder
    assert folder is not None
    with as_config_error("mail.folder", folder):
        if is_folder(folder):
            return
    raise ConfigError([f"mail.folder: {folder} does not exist, or is not a folder; create it"])


def build_cluster_store(config: Config, log: FilteringBoundLogger) -> ClusterStore | ShardedStore:
    """Return the store of a cluster."""
    settings = build_cluster_settings(config)

    def note(problem: str) -> None:
        log.warning("cluster", problem=problem)

    if settings.shards:
        from restante.storage.cluster.shards import ShardedStore

        return ShardedStore(settings, note)
    from restante.storage.cluster import ClusterStore

    return ClusterStore(settings, note)


def build_cluster_settings(config: Config) -> ClusterSettings:
    """Return the section [cluster], with its files."""
    section = config.cluster
    if section.postgresql_dsn_file is None:
        raise ConfigError(["cluster.postgresql_dsn_file: missing; a cluster requires it"])
    with importing("cluster", "mail.format: a cluster"):
        from restante.storage.cluster import ClusterSettings
    settings = ClusterSettings(
        dsn=read_secret("cluster.postgresql_dsn_file", section.postgresql_dsn_file),
        objects=section.objects or "",
        objects_secret=_read_if_named("cluster.objects_secret_file", section.objects_secret_file),
        inline=section.inline,
        lease=section.lease,
        grace=section.grace,
        connections=section.connections,
        pooler=section.pooler,
        keep_deleted=config.mail.keep_deleted is not None,
    )
    return replace(settings, shards=_build_shards(settings, section.shards))


def _build_shards(
    settings: ClusterSettings, sections: Mapping[str, ShardSection]
) -> dict[str, ClusterSettings]:
    """Return the settings of further databases. Each has object storage of its own, or none."""
    shards = {}
    used_places = {settings.objects}
    for name, section in sections.items():
        key = f"cluster.shards.{name}"
        if section.objects in used_places:
            raise ConfigError([f"{key}.objects: another database uses it; set another place"])
        used_places.add(section.objects or "")
        shards[name] = replace(
            settings,
            dsn=read_secret(f"{key}.postgresql_dsn_file", section.postgresql_dsn_file),
            objects=section.objects or "",
            objects_secret=_read_if_named(
                f"{key}.objects_secret_file", section.objects_secret_file
            ),
        )
    return shards


def _other_unique_ids(unique_ids: str) -> CourierUniqueIds | DovecotUniqueIds | None:
    """Return the unique-ids of an earlier server that stay, None for Restante's own."""
    from restante.storage.maildir import CourierUniqueIds, DovecotUniqueIds

    if unique_ids == RESTANTE_UIDS:
        return None
    return CourierUniqueIds() if unique_ids == COURIER else DovecotUniqueIds(unique_ids)


def build_accounts(
    config: Config, log: FilteringBoundLogger, problems: FileProblems | None = None
) -> AccountDirectory:
    """Return the accounts: a file, PAM, LDAP or a database. `problems` logs faults of a file."""
    section = config.accounts
    if section.users:
        return _account_file(section.users, config, log, problems or FileProblems(log))
    if section.pam:
        from restante.auth.pam import PamAuthenticator

        return PamAuthenticator(section.pam)
    if section.mysql_dsn_file:
        dsn = read_secret("accounts.mysql_dsn_file", section.mysql_dsn_file)
        return build_mysql_accounts(dsn, section, build_sql_hash_upgrader(section, log))
    if section.ldap:
        file = config.ldap.bind_password_file
        password = read_secret("ldap.bind_password_file", file) if file else Secret(b"")
        return build_ldap_accounts(section.ldap, config.ldap, password)
    with importing("postgresql", "accounts.postgresql_dsn_file: PostgreSQL"):
        from restante.auth.sql.accounts import SqlAuthenticator
        from restante.auth.sql.postgresql_query import PostgresqlQueries

    table, pooler = account_table_dsn(config), config.cluster.pooler
    if table is not None:
        from restante.auth.sql.cluster_logins import ClusterAccounts

        def warn(problem: str) -> None:
            log.warning("accounts", problem=problem)

        return ClusterAccounts(table, section.remember, warn, pooler=pooler)
    assert section.postgresql_dsn_file is not None
    assert section.postgresql_query is not None
    dsn = read_secret("accounts.postgresql_dsn_file", section.postgresql_dsn_file)
    return SqlAuthenticator(
        PostgresqlQueries(dsn, section.postgresql_query, pooler=pooler),
        section.postgresql_check,
        section.remember,
        list_all=section.postgresql_list,
        upgrader=build_sql_hash_upgrader(section, log),
    )


def account_table_dsn(config: Config) -> Secret | None:
    """Return the database of a cluster whose accounts are in its own table, else None."""
    if any(getattr(config.accounts, key) for key in ACCOUNT_BACKENDS):
        return None
    return cluster_dsn(config)


def cluster_dsn(config: Config) -> Secret | None:
    """Return the database of a cluster, None where the mail is elsewhere."""
    file = config.cluster.postgresql_dsn_file
    if file is None or config.mail.format != "cluster":
        return None
    return read_secret("cluster.postgresql_dsn_file", file)


def _account_file(
    users: Path, config: Config, log: FilteringBoundLogger, problems: FileProblems
) -> FileAuthenticator:
    from restante.auth.file.accounts import FileAuthenticator
    from restante.server.composition.account_doubts import build_doubts

    warn, alarm = problems.make_loggers(users)
    accounts = FileAuthenticator(
        users,
        warn,
        config.accounts.remember,
        alarm=alarm,
        doubts=build_doubts(config),
        upgrader=build_hash_upgrader(config.accounts, log),
    )
    try:
        accounts.refresh()
    except UnavailableError as error:
        is_absent = isinstance(error.__cause__, FileNotFoundError)
        hint = "; `pop3 user add` creates it" if is_absent else ""
        raise ConfigError([f"accounts.users: {error}{hint}"]) from error
    return accounts


def read_secret(key: str, file: Path) -> Secret:
    """Return the secret in a file that the setting `key` names."""
    with as_config_error(key, file):
        return Secret(read_utf8(file).strip())


def _read_if_named(key: str, file: Path | None) -> Secret | None:
    return read_secret(key, file) if file else None


def build_deliverer(config: Config, log: FilteringBoundLogger) -> Deliverer:
    """Return the delivery of `pop3 deliver`, which needs store and accounts, but no server."""
    from restante.delivery.deliverer import Deliverer

    check_recipients(config)
    store, accounts = build_store(config, log), build_accounts(config, log)
    return Deliverer(
        store=store,
        recipients=build_recipients(config, store, accounts),
        log=log,
        delimiter=config.delivery.recipient_delimiter,
        default_domain=config.login.default_domain or "",
        junk_extension=config.delivery.junk_extension,
        quotas=build_quotas(config, store, accounts, log),
    )


def build_quotas(
    config: Config, store: Store, accounts: Authenticator, log: FilteringBoundLogger
) -> QuotaDelivery | None:
    """Return the check of quotas at delivery, None if no account can have a quota."""
    accounts = unwrap(accounts)
    default, policy = default_quota(config), config.delivery.over_quota
    removes = policy == "remove-oldest" and config.mail.format == "cluster"  # of a box's own quota
    ask_store = config.mail.maildirsize == "follow" or removes
    is_used = (
        default.is_limited or isinstance(accounts, KnowsQuotas) or ask_store or policy != "defer"
    )
    if not isinstance(store, KeepsQuota) or not is_used:
        return None
    from restante.delivery.quota import QuotaDelivery

    return QuotaDelivery(
        store=store, accounts=accounts, log=log, default=default, policy=policy, ask_store=ask_store
    )


def default_quota(config: Config) -> Quota:
    """Return the quota of accounts without their own; a cluster may have it in its section."""
    own = Quota(config.mail.quota_octets, config.mail.quota_messages)
    if config.mail.format != "cluster":
        return own
    return Quota(config.cluster.quota_octets, config.cluster.quota_messages).or_default(own)


def build_recipients(config: Config, store: Store, accounts: Authenticator) -> Recipients:
    """Return the recipients of mail."""
    from restante.delivery.recipients import AccountRecipients, StoreRecipients

    kind = config.delivery.recipients
    if kind == "folders" or (kind == "auto" and config.lacks_names()):
        return StoreRecipients(cast("Knows", store))
    return AccountRecipients(cast("FindsOwner", accounts))


def check_recipients(config: Config) -> None:
    """Reject PAM as a directory: it would call every name unknown, and all mail would bounce."""
    if config.delivery.recipients == "accounts" and config.lacks_names():
        source = "PAM" if config.accounts.pam else "LDAP without ldap.base"
        raise ConfigError([f'delivery.recipients: {source} cannot list accounts; use "folders"'])
