"""The composition root: from a configuration to the parts of a server, and of delivery.

Everything here raises ConfigError: files that the configuration names cannot be used.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from dataclasses import replace
from typing import TYPE_CHECKING

import restante.auth.passwords.scram  # noqa: F401  # before workers fork, and before the first login
from restante.auth.interfaces import PASSWORDS, ListsAccounts
from restante.auth.wrapped_accounts import unwrap
from restante.net.client_networks import parse_network
from restante.protocol.secret import Secret
from restante.protocol.server.settings import AuthOffer
from restante.server.composition.added_logins import add_logins, build_masters
from restante.server.composition.backends import (
    build_accounts,
    build_store,
    read_secret,
)
from restante.server.composition.extras import importing
from restante.server.config.loader import ConfigError
from restante.server.connection.transport import ListenerPolicy
from restante.server.context import ServerContext
from restante.server.limits.counters import AddressLimit
from restante.server.limits.server_limits import ServerLimits
from restante.server.listener import ListenConfig, ListenError, listen_addresses
from restante.server.log.file_problems import FileProblems
from restante.server.tasks.expiry import MailExpiry
from restante.server.tls.certificate_files import CertificateError, CertificateFiles, Profile
from restante.server.tls.certificate_log import CertificateLog
from restante.server.tls.certificates import Certificates
from restante.storage.errors import StoreError
from restante.storage.interfaces import Expires, Lives, open_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator

    from structlog.typing import FilteringBoundLogger

    from restante.auth.interfaces import AccountDirectory
    from restante.auth.oauth.tokens import Tokens
    from restante.server.config.schema import Config
    from restante.server.config.server_sections import LimitsSection
    from restante.server.limits.shared_limits import SharedLimits
    from restante.server.metrics.listener import MetricsListener
    from restante.server.observer import ServerObserver
    from restante.server.system.activation import ActivatedSockets
    from restante.storage.interfaces import Store


LISTED = (
    "accounts that can be listed: accounts.users, ldap.base, accounts.postgresql_list or"
    " accounts.mysql_list"
)
"""The requirement of the removal of old mail."""


def build_context(
    config: Config,
    log: FilteringBoundLogger,
    shared: SharedLimits | None = None,
    observer: ServerObserver | None = None,
) -> ServerContext:
    """Return the parts that all connections share. `shared` has those of all workers."""
    store = build_store(config, log)
    problems = FileProblems(log, shared.reported if shared else None)
    accounts = add_logins(config, build_accounts(config, log, problems), problems, log)
    tokens = build_tokens(config)
    return ServerContext(
        store=store,
        authenticator=accounts,
        log=log,
        settings=config.settings(),
        lock_timeout=config.timeouts.lock,
        write_timeout=config.timeouts.write,
        keep_deleted=config.mail.keep_deleted,
        limits=_limits_of_workers(config.limits, shared) if shared else _limits(config.limits),
        junk_suffix=config.mail.junk_suffix if config.mail.junk else "",
        default_domain=config.login.default_domain or "",
        masters=build_masters(config, accounts, problems),
        take_over=config.login.take_over,
        name_holder=config.login.name_holder,
        control=config.control.folder if shared else None,
        tokens=tokens,
        utf8_headers=config.mail.utf8_headers,
        offer=_offers(config, accounts, tokens=tokens is not None),
        observer=observer,
    )


def _limits(limits: LimitsSection) -> ServerLimits:
    return ServerLimits.create(
        connections=limits.connections,
        connections_per_address=limits.connections_per_address,
        sessions_per_user=limits.sessions_per_user,
        count_loopback=limits.count_loopback,
    )


def _limits_of_workers(limits: LimitsSection, shared: SharedLimits) -> ServerLimits:
    per_address = shared.addresses(limits.connections_per_address)
    return ServerLimits(
        connections=shared.connections(limits.connections),
        addresses=AddressLimit(per_address, count_loopback=limits.count_loopback),
        users=shared.users(limits.sessions_per_user),
        throttle=shared.throttle(count_loopback=limits.count_loopback),
        login_delay=shared.login_delay(),
    )


@contextlib.asynccontextmanager
async def opening_store(store: Store) -> AsyncIterator[None]:
    """Open a store while the block runs. Raises ConfigError: it cannot be used."""
    async with contextlib.AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(open_store(store))
        except StoreError as error:
            raise ConfigError([f"the mail store cannot be opened: {error}"]) from error
        yield


def check_store(store: Store) -> None:
    """Open and close a store, before there are workers. Raises ConfigError."""

    async def check() -> None:
        async with opening_store(store):
            pass

    if isinstance(store, Lives):
        asyncio.run(check())


def build_expiry(config: Config, context: ServerContext) -> MailExpiry | None:
    """Return the expiry of old mail, or None if the accounts cannot be listed."""
    accounts, store = unwrap(context.authenticator), context.store
    if isinstance(accounts, ListsAccounts) and accounts.can_list and isinstance(store, Expires):
        days, junk = config.mail.expire_days, config.mail.junk is not None
        return MailExpiry(store, accounts, days, context.log, junk=junk)
    if config.mail.expire_days is not None:
        raise ConfigError([f"mail.expire_days: requires {LISTED}"])
    return None


def build_listeners(
    config: Config, log: FilteringBoundLogger, shared: SharedLimits | None = None
) -> tuple[list[ListenConfig], list[Certificates]]:
    """Return where to listen, and the certificates to watch."""
    plain = ListenerPolicy(
        clear_text=config.login.clear_text,
        proxies=tuple(map(parse_network, config.server.proxies)),
        xclient_proxies=tuple(map(parse_network, config.server.xclient_proxies)),
    )
    tls = config.tls
    if not tls.certificates:
        if tls.listen or tls.legacy_listen:
            raise ConfigError(
                ["tls.certificates: missing; TLS requires one, or --certificate and --key"]
            )
        return [
            ListenConfig(address, plain) for address in listen_addresses(config.server.listen)
        ], []
    certificate_log = CertificateLog(log, reported=shared.reported if shared else None)
    modern = _certificates(config, "modern", certificate_log)
    groups = [(config.server.listen, modern, False), (tls.listen, modern, True)]
    loaded = [modern]
    if tls.legacy_listen:
        loaded.append(_certificates(config, "legacy", certificate_log))
        groups.append((tls.legacy_listen, loaded[-1], True))
    configs = [
        ListenConfig(
            address,
            replace(
                plain,
                certificates=certificates,
                implicit_tls=implicit,
                announce_bindings=config.login.scram_plus == "always",
            ),
        )
        for addresses, certificates, implicit in groups
        for address in listen_addresses(addresses)
    ]
    return configs, loaded


def prepare_control(config: Config) -> None:
    """Make the folder of the control sockets, or check its owner and permissions."""
    if config.control.folder is not None:
        from restante.server.control.service import prepare_folder

        prepare_folder(config.control)


def build_metrics(
    config: Config, activated: ActivatedSockets | None = None, processes: int = 1
) -> MetricsListener | None:
    """Return the listener for metrics, None if the configuration names no address for it.

    `activated` has sockets that are open already. At most `processes` count at once.
    """
    if config.metrics.listen is None:
        return None
    with importing("metrics", "metrics.listen:"):
        from restante.server.metrics.listener import MetricsListener
    from restante.server.metrics.memory import MetricMemory
    from restante.server.metrics.recorder import Recorder

    recorder = Recorder(MetricMemory(processes))
    return MetricsListener(settings=config.metrics, recorder=recorder, activated=activated)


def reload(certificates: Iterable[Certificates]) -> None:
    """Load all certificates again."""
    with _certificate_errors():
        for certificate in certificates:
            certificate.reload()


def log_not_reloaded(log: FilteringBoundLogger, error: Exception) -> None:
    """Log why a reload has failed. The server goes on with what it has."""
    if isinstance(error, ConfigError):
        for problem in error.problems:
            log.error("not_reloaded", problem=problem)
    elif isinstance(error, ListenError):
        log.error("not_reloaded", problem=str(error))
    else:
        log.error("incident", what="cannot reload", exc_info=error)


def _certificates(config: Config, profile: Profile, log: CertificateLog) -> Certificates:
    pairs = [CertificateFiles(files.certificate, files.key) for files in config.tls.certificates]
    with _certificate_errors():
        return Certificates(pairs, profile, config.tls.client_ca, log)


@contextlib.contextmanager
def _certificate_errors() -> Iterator[None]:
    try:
        yield
    except CertificateError as error:
        raise ConfigError([f"tls.certificates: {problem}" for problem in error.problems]) from error


def _offers(config: Config, accounts: AccountDirectory, *, tokens: bool) -> Callable[[], AuthOffer]:
    """Return a function that returns the offer to a new connection: accounts may change."""
    always = set(PASSWORDS)
    if config.login.cram_md5:
        always.add("CRAM-MD5")
    if config.tls.client_ca:
        always.add("EXTERNAL")
    if tokens:
        always |= {"OAUTHBEARER", "XOAUTH2"}

    @functools.lru_cache(1)
    def offer_of(
        of_all: frozenset[str], of_some: frozenset[str], delay: int | None, days: int | None
    ) -> AuthOffer:
        hashes = {
            "auto": of_all - PASSWORDS,
            "always": {"SCRAM-SHA-256"} | of_some - PASSWORDS,
            "never": set[str](),
        }[config.login.scram]
        mechanisms = always | hashes | {f"{name}-PLUS" for name in hashes}
        general_delay, general_days = config.login.delay, config.mail.expire_days
        return AuthOffer(
            mechanisms=frozenset(mechanisms),
            login_delay=general_delay,
            longest_login_delay=None if delay is None else max(delay, general_delay or 0),
            expire_days=general_days,
            shortest_expire_days=None if days is None else min(days, general_days or days),
        )

    return lambda: offer_of(
        accounts.mechanisms(),
        accounts.mechanisms_any(),
        accounts.longest_login_delay,
        accounts.shortest_expire_days,
    )


def build_tokens(config: Config) -> Tokens | None:
    """Return the verification of bearer tokens, None if none are accepted."""
    section = config.tokens
    if section.jwks and section.introspection:
        raise ConfigError(["tokens: jwks and introspection exclude each other; use one"])
    if not section.jwks and not section.introspection:
        return None
    from restante.auth.oauth.tokens import Claims, IntrospectedTokens, JwksTokens

    claims = Claims(issuer=section.issuer, audience=section.audience, user=section.user_claim)
    if section.jwks:
        return JwksTokens(section.jwks, claims)
    assert section.introspection
    file = section.client_secret_file
    secret = read_secret("tokens.client_secret_file", file) if file else Secret(b"")
    return IntrospectedTokens(section.introspection, section.client, secret, claims)
