"""Whether a server can serve with a configuration on this machine: `pop3 config check`.

Each part is built as the server builds it, and tried: files are read, the mail folder is tested
for the rights of this process, and each query of a database runs once. A mistake in one part hides
none in another. Nothing is created, and no port is opened: a server may be running.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import socket
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from restante.auth.interfaces import (
    CanBeTried,
    ListsAccounts,
    UnavailableError,
    UnreadableAccountError,
    closing_accounts,
)
from restante.file_kinds import exists, is_folder
from restante.input_files import read_octets
from restante.server.composition import components
from restante.server.composition.added_logins import (
    build_app_passwords,
    build_locks,
    build_master_users,
)
from restante.server.composition.backends import build_accounts, build_store, check_recipients
from restante.server.config.addresses import ListenAddress, parse_local_address
from restante.server.config.loader import ConfigError, as_config_error
from restante.server.control.service import check_length, check_owner
from restante.server.log.file_problems import FileProblems
from restante.server.system.process import is_permitted
from restante.server.system.unix_sockets import require_short_path
from restante.system_errors import describe, explain_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from ipaddress import IPv4Address, IPv6Address

    from structlog.typing import FilteringBoundLogger

    from restante.auth.interfaces import AccountDirectory
    from restante.server.config.schema import Config

PAM_SERVICES = Path("/etc/pam.d")
MADE_AT_START = Path("/run")


def find_problems(config: Config, log: FilteringBoundLogger) -> list[str]:
    """Return what keeps a server from serving, a line each; `log` gets the warnings."""
    problems = [problem for check in CHECKS for problem in _run(check, config, log)]
    return problems or _run(_check_expiry, config, log)


def _run(
    check: Callable[[Config, FilteringBoundLogger], None], config: Config, log: FilteringBoundLogger
) -> list[str]:
    try:
        check(config, log)
    except ConfigError as error:
        return error.problems
    except OSError as error:  # of a folder above what a setting names
        return [describe(error)]
    return []


def _check_store(config: Config, log: FilteringBoundLogger) -> None:
    store = build_store(config, log)
    folder = config.mail.folder
    if config.mail.format != "cluster" and folder is not None:
        missing = [word for word, mode in RIGHTS.items() if not is_permitted(folder, mode)]
        if missing:
            what = f"{_user()} cannot {' or '.join(missing)} it"
            is_read_only = os.statvfs(folder).f_flag & os.ST_RDONLY
            remedy = (
                "its disk is mounted read-only; mount it writable"
                if is_read_only
                else "change its owner or its permissions"
            )
            raise ConfigError([f"mail.folder: {folder}: {what}; {remedy}"])
    components.check_store(store)


def _check_accounts(config: Config, log: FilteringBoundLogger) -> None:
    accounts = build_accounts(config, log)
    if config.accounts.pam:
        service = PAM_SERVICES / config.accounts.pam
        if not exists(service):
            raise ConfigError([f"accounts.pam: {service} does not exist; create it"])
        return
    try:
        asyncio.run(_look_up(accounts))
    except UnavailableError as error:
        is_of_directory = config.accounts.ldap and not isinstance(error, UnreadableAccountError)
        has_remedy = isinstance(error.__cause__, OSError) or is_of_directory
        text = f"{error}" if has_remedy else f"{error}; {_advice(config)}"
        raise ConfigError([f"accounts: {text}"]) from error


def _advice(config: Config) -> str:
    """Return what to do where the accounts cannot be asked."""
    if config.accounts.users is not None:
        return "add an account by `pop3 user add`, or correct the file"
    if config.accounts.ldap is not None:
        return "correct [ldap] or the directory"
    if config.accounts.postgresql_dsn_file or config.accounts.mysql_dsn_file:
        return "correct the query or the database"
    return "correct the database, or add an account by `pop3 user add`"  # a cluster's own table


async def _look_up(accounts: AccountDirectory) -> None:
    """Run each query once. Raises UnavailableError."""
    async with closing_accounts(accounts):
        if isinstance(accounts, CanBeTried):
            await accounts.try_source()
        if isinstance(accounts, ListsAccounts) and accounts.can_list:
            async for _ in accounts.list_accounts():
                break


def _check_locks(config: Config, log: FilteringBoundLogger) -> None:
    build_locks(config, FileProblems(log))


def _check_app_passwords(config: Config, log: FilteringBoundLogger) -> None:
    build_app_passwords(config, FileProblems(log))


def _check_masters(config: Config, log: FilteringBoundLogger) -> None:
    build_master_users(config, FileProblems(log))


def _check_tokens(config: Config, _log: FilteringBoundLogger) -> None:
    components.build_tokens(config)
    keys = config.tokens.jwks
    if keys and "://" not in keys:
        with as_config_error("tokens.jwks", keys):
            read_octets(keys)


def _check_listeners(config: Config, log: FilteringBoundLogger) -> None:
    addresses = [
        (f"{section}.{key}", ListenAddress.parse(text))
        for section, key in ADDRESSES
        for text in getattr(getattr(config, section), key)
    ]
    problems = [
        f"{name}: {address}: the host has no address; correct it, or use *"
        for name, address in addresses
        if not _resolve(address.host)
    ]
    problems += _find_overlaps([*addresses, *_extra_addresses(config)])
    try:
        components.build_listeners(config, log)
    except ConfigError as error:
        problems += error.problems
    if problems:
        raise ConfigError(problems)


def _extra_addresses(config: Config) -> Iterator[tuple[str, ListenAddress]]:
    """Yield the ports beside those of POP3, with their settings."""
    for key, text in (
        ("delivery.lmtp", config.delivery.lmtp),
        ("delivery.smtp", config.delivery.smtp),
        ("metrics.listen", config.metrics.listen),
    ):
        address = parse_local_address(text) if text else None
        if isinstance(address, ListenAddress):
            yield key, address


def _find_overlaps(addresses: Sequence[tuple[str, ListenAddress]]) -> Iterator[str]:
    """Report addresses that could not be opened, because another one includes them."""
    for (key, one), (other_key, other) in itertools.combinations(addresses, 2):
        if one.port == other.port != 0 and _share_address(one.host, other.host):
            yield f"{other_key}: {other}: {key} has {one} already; omit one of them"


def _share_address(host: str, other_host: str) -> bool:
    return any(
        one.version == other.version
        and (one == other or one.is_unspecified or other.is_unspecified)
        for one, other in itertools.product(_resolve(host), _resolve(other_host))
    )


def _check_delivery(config: Config, _log: FilteringBoundLogger) -> None:
    check_recipients(config)


def _check_sockets(config: Config, _log: FilteringBoundLogger) -> None:
    delivery, auth = config.delivery, config.auth_socket
    lmtp = parse_local_address(delivery.lmtp) if delivery.lmtp else None
    metrics = parse_local_address(config.metrics.listen) if config.metrics.listen else None
    problems = [
        *_find_group_problems("delivery.socket_group", delivery.socket_group),
        *_find_group_problems("auth_socket.group", auth.group),
        *_find_folder_problems("delivery.lmtp", lmtp if isinstance(lmtp, Path) else None),
        *_find_folder_problems("auth_socket.path", auth.path),
        *_find_group_problems("metrics.socket_group", config.metrics.socket_group),
        *_find_folder_problems("metrics.listen", metrics if isinstance(metrics, Path) else None),
    ]
    if problems:
        raise ConfigError(problems)


def _check_metrics(config: Config, _log: FilteringBoundLogger) -> None:
    components.build_metrics(config)


def _check_control(config: Config, _log: FilteringBoundLogger) -> None:
    """Try what makes the folder of the control sockets ready, without making it."""
    section = config.control
    if section.folder is None:
        return
    problems = [*_find_group_problems("control.group", section.group)]
    try:
        check_length(section.folder)
        is_there = exists(section.folder)
    except OSError as error:
        problems.append(f"control.folder: {explain_path(section.folder, error)}")
        raise ConfigError(problems) from error
    if is_there:
        try:
            check_owner(section.folder, user_known=os.geteuid() != 0)  # root tries for the server
        except ConfigError as error:
            problems += error.problems
        if not is_permitted(section.folder, os.R_OK | os.W_OK | os.X_OK):
            problems.append(f"control.folder: {_user()} cannot write to {section.folder}")
    else:
        problems += _find_folder_problems("control.folder", section.folder)
    if problems:
        raise ConfigError(problems)


def _find_group_problems(key: str, group: str | None) -> Iterator[str]:
    if group and not _group_exists(group):
        yield f"{key}: the group {group} does not exist"


def _find_folder_problems(key: str, socket_file: Path | None) -> Iterator[str]:
    if socket_file is None:
        return
    folder = socket_file.parent
    try:
        require_short_path(socket_file)
        if folder.parent == MADE_AT_START and not exists(folder):
            return  # systemd makes it: RuntimeDirectory=
        if not is_folder(folder):
            yield f"{key}: the folder {folder} does not exist; create it"
        elif not is_permitted(folder, os.W_OK | os.X_OK):
            yield f"{key}: {_user()} cannot write to the folder {folder}"
    except OSError as error:
        yield f"{key}: {explain_path(socket_file, error)}"


def _check_expiry(config: Config, log: FilteringBoundLogger) -> None:
    components.build_expiry(config, components.build_context(config, log))


CHECKS = (
    _check_store,
    _check_accounts,
    _check_locks,
    _check_app_passwords,
    _check_masters,
    _check_tokens,
    _check_listeners,
    _check_delivery,
    _check_sockets,
    _check_metrics,
    _check_control,
)

ADDRESSES = (("server", "listen"), ("tls", "listen"), ("tls", "legacy_listen"))

RIGHTS = {"read": os.R_OK | os.X_OK, "write to": os.W_OK | os.X_OK}


def _user() -> str:
    """Return the user of this process, for a message."""
    import pwd

    try:
        return f"the user {pwd.getpwuid(os.geteuid()).pw_name}"
    except KeyError:
        return f"the user with the uid {os.geteuid()}"


def _group_exists(name: str) -> bool:
    import grp

    with contextlib.suppress(KeyError):
        grp.getgrnam(name)
        return True
    return False


def _resolve(host: str) -> set[IPv4Address | IPv6Address]:
    """Return the addresses of a host; those that stand for all addresses if it is empty."""
    try:
        results = socket.getaddrinfo(host or None, 0, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        return set()
    return {ip_address(address[0]) for *_, address in results}
