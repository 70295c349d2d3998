"""The configuration file: typed TOML, of which all mistakes are reported at once."""

from __future__ import annotations

import contextlib
import difflib
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from restante.input_files import read_text
from restante.net.client_networks import parse_network
from restante.protocol.server.settings import is_greeting, is_implementation
from restante.server.config.addresses import (
    ListenAddress,
    parse_local_address,
    parse_loopback_address,
    require_https,
    resolve_socket_path,
)
from restante.server.config.mail_sections import COURIER, RESTANTE_UIDS, X_UIDL
from restante.server.config.mistakes import describe
from restante.server.config.schema import Config
from restante.server.config.section import ConfigSection
from restante.storage.maildir import DovecotUniqueIds
from restante.storage.paths import Layout
from restante.system_errors import explain_path
from restante.toml_input import TomlError, parse_toml

if TYPE_CHECKING:
    from restante.server.config.account_sections import AccountsSection, LdapSection

Decode: TypeAlias = Callable[[type[Any], Any], object]


class ConfigError(Exception):
    """The configuration cannot be used; `problems` says why, a line each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@contextlib.contextmanager
def as_config_error(key: str, path: Path | str) -> Iterator[None]:
    """Turn an error of the system about the path of a setting into a ConfigError."""
    try:
        yield
    except OSError as error:
        raise ConfigError([f"{key}: {explain_path(path, error)}"]) from error


def load(file: Path | None, flags: Mapping[str, Mapping[str, object]]) -> Config:
    """Return the configuration in a file, if any. `flags`, by section and key, override it.

    Paths in the file are relative to its folder. Raises ConfigError.
    """
    document = _read(file) if file else {}
    for section, values in flags.items():
        table = document.setdefault(section, {})
        if isinstance(table, dict):
            table.update(values)
    base = file.parent if file else Path()
    _resolve_socket(document.get("delivery"), "lmtp", base)
    _resolve_socket(document.get("metrics"), "listen", base)

    def decode(_kind: type[Path], value: Any) -> Path:
        if not isinstance(value, str | Path) or not str(value) or "\0" in str(value):
            raise ValueError("Expected a path")  # msgspec reports it
        return base / value

    prefix = f"{file}: " if file else ""
    problems = [
        *_problems(document, Config, "", decode),
        *_mail_problems(document.get("mail", {}), document.get("cluster", {})),
        *_account_problems(document.get("accounts", {}), document.get("mail", {})),
    ]
    if problems:
        raise ConfigError([prefix + problem for problem in problems])
    config = msgspec.convert(document, Config, dec_hook=decode)
    if problems := list(_find_useless(config)):
        raise ConfigError([prefix + problem for problem in problems])
    return config


def _resolve_socket(table: object, key: str, base: Path) -> None:
    """Make the file of a Unix socket relative to a folder."""
    if isinstance(table, dict) and isinstance(table.get(key), str):
        table[key] = resolve_socket_path(table[key], base)


def _read(file: Path) -> dict[str, Any]:
    try:
        return parse_toml(read_text(file))
    except OSError as error:
        raise ConfigError([explain_path(file, error)]) from error
    except TomlError as error:
        raise ConfigError([f"{file}: {error}"]) from error


def _problems(
    table: object, section: type[ConfigSection], path: str, decode: Decode
) -> Iterator[str]:
    """Yield the mistakes in all keys of a table, since msgspec itself stops at the first one."""
    if not isinstance(table, dict):
        yield f"{path}: expected a table, [{path}]"
        return
    fields = {field.name: field for field in msgspec.structs.fields(section)}
    unknown = [key for key in table if key not in fields]
    for key in unknown:
        near = difflib.get_close_matches(key, fields, 1) or (_elsewhere(key) if path else [])
        hint = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(fields)}"
        yield f"{_join(path, key)}: unknown; {hint}"
    for key, field in fields.items():
        name = _join(path, key)
        if isinstance(field.type, type) and issubclass(field.type, ConfigSection):
            if key in table or field.required:
                yield from _problems(table.get(key, {}), field.type, name, decode)
        elif key not in table:
            if field.required:
                yield f"{name}: missing; {MISSING_HINTS[name]}"
        else:
            yield from _problem(table[key], field.type, name, decode)


def _elsewhere(key: str) -> list[str]:
    """Return the setting of another section that a key means, if one alone has its name.

    The name may begin with that of the section, as "login_delay" of earlier versions.
    """
    settings = [
        (section.name, field.name)
        for section in msgspec.structs.fields(Config)
        if isinstance(section.type, type) and issubclass(section.type, ConfigSection)
        for field in msgspec.structs.fields(section.type)
    ]
    named = [setting for setting in settings if key == "_".join(setting)]
    named = named or [setting for setting in settings if key == setting[1]]
    return [".".join(named[0])] if len(named) == 1 else []


def _mail_problems(mail: object, cluster: object) -> Iterator[str]:
    """Yield that the place of the mail is missing: a folder, or the database of a cluster."""
    if not isinstance(mail, dict) or not isinstance(cluster, dict):
        return
    if mail.get("format") == "cluster":
        required, present = "cluster.postgresql_dsn_file", "postgresql_dsn_file" in cluster
    else:
        required, present = "mail.folder", "folder" in mail
    if not present:
        yield f"{required}: missing; {MISSING_HINTS[required]}"


def _account_problems(accounts: object, mail: object) -> Iterator[str]:
    """Yield a missing source of accounts, or several. A cluster has one of its own."""
    configured = [key for key in ACCOUNT_BACKENDS if isinstance(accounts, dict) and key in accounts]
    has_own = isinstance(mail, dict) and mail.get("format") == "cluster"
    if not configured and not has_own:
        yield f"accounts.users: missing; {MISSING_HINTS['accounts.users']}; or accounts.pam"
    if len(configured) > 1:
        yield f"accounts: {', '.join(configured)} exclude one another; use one"
    for database in ("postgresql", "mysql"):
        query = f"{database}_query"
        if configured == [f"{database}_dsn_file"] and query not in accounts:  # type: ignore[operator]
            yield f"accounts.{query}: missing; set the query that returns an account's hash"


def _find_useless(config: Config) -> Iterator[str]:
    """Report settings without an effect, and logins that would never succeed."""
    if config.mail.format == "cluster" and config.mail.unique_ids != RESTANTE_UIDS:
        yield 'mail.unique_ids: has no effect with format = "cluster"; omit it'
    yield from _listen_problems(config)
    yield from _junk_problems(config)
    if config.mail.format != "maildir" and config.mail.maildirsize != "keep":
        yield 'mail.maildirsize: requires format = "maildir"; omit it'
    for key in ("quota_octets", "quota_messages"):
        if getattr(config.cluster, key) and getattr(config.mail, key):
            yield f"cluster.{key}: mail.{key} is the same; omit one of them"
    if config.tokens.metadata_url and not (config.tokens.jwks or config.tokens.introspection):
        yield "tokens.metadata_url: requires tokens.jwks or tokens.introspection"
    needs_sockets = config.server.workers != 1 and config.mail.format != "cluster"
    if config.login.take_over and needs_sockets and config.control.folder is None:
        yield "login.take_over: requires control.folder, since the workers ask each other there"
    if config.server.workers != 1 and sys.platform != "linux":
        yield "server.workers: more than one worker is supported on Linux only"
    if config.accounts.ldap:
        yield from _ldap_problems(config.ldap)
    yield from _upgrade_problems(config.accounts)
    if not config.accounts.users:
        yield from _find_useless_without_file(config)


def _listen_problems(config: Config) -> Iterator[str]:
    """Report a server that no program could connect to."""
    addresses = (
        config.server.listen, config.tls.listen, config.tls.legacy_listen,
        config.delivery.lmtp, config.delivery.smtp, config.auth_socket.path,
    )  # fmt: skip
    if not any(addresses):
        yield "server.listen: no address is left; set one here, or in tls.listen"


def _junk_problems(config: Config) -> Iterator[str]:
    """Report a junk maildrop that this format of mail cannot have."""
    junk, format_ = config.mail.junk, config.mail.format
    if junk is None:
        if config.delivery.junk_extension:
            yield "delivery.junk_extension: requires mail.junk"
    elif format_ == "cluster":
        yield 'mail.junk: not supported with format = "cluster"; omit it'
    elif "{" not in junk and format_ == "mbox":
        yield 'mail.junk: Expected the path of an mbox, such as "junk/{user}"'
    elif "{" not in junk and (junk in RESERVED or "/" in junk or not junk.strip(".")):
        yield f'mail.junk: Expected a folder of a Maildir, such as ".Junk" (it is {junk!r})'


def _upgrade_problems(section: AccountsSection) -> Iterator[str]:
    """Report settings about weak hashes that would replace none."""
    for database in ("postgresql", "mysql"):
        query = getattr(section, f"{database}_upgrade")
        if getattr(section, f"{database}_dsn_file") and bool(query) != section.upgrade_hashes:
            yield f"accounts.{database}_upgrade: set it and accounts.upgrade_hashes = true together"
    if section.upgrade_hashes and (section.pam or section.ldap):
        yield "accounts.upgrade_hashes: PAM and LDAP have the hashes themselves; omit it"


def _ldap_problems(section: LdapSection) -> Iterator[str]:
    """Report settings with which no name is found."""
    if not section.base and not section.user_dn:
        yield "ldap.base: missing; set the DN below which the accounts are"
    for key in ("filter", "mail_filter") if section.base else ("user_dn",):
        text = getattr(section, key)
        if text and "{user}" not in text and "{local}" not in text:
            yield f"ldap.{key}: it has no {{user}}, which stands for the name"
    if section.bind_dn and not section.bind_password_file:
        yield "ldap.bind_password_file: missing; without a password, a bind is anonymous"


def _find_useless_without_file(config: Config) -> Iterator[str]:
    """Report settings that require accounts in a file, or their names."""
    if config.login.scram == "always":
        yield f"login.scram: {NEEDS_FILE}"
    for key in ("apop", "cram_md5"):
        if getattr(config.login, key):
            yield f"login.{key}: {NEEDS_FILE}"
    if config.accounts.pam and config.login.default_domain:
        yield "login.default_domain: names of system users have no domain; omit it"
    if config.lacks_names() and not config.accounts.pam:
        for name in NOT_WITHOUT_NAMES:
            section, key = name.split(".")
            if getattr(getattr(config, section), key):
                yield f"{name}: {NEEDS_BASE}"


def _problem(value: object, kind: Any, name: str, decode: Decode) -> Iterator[str]:
    try:
        converted = msgspec.convert(value, kind, dec_hook=decode)
        CHECKS.get(name, lambda _: None)(converted)
    except (msgspec.ValidationError, ValueError) as error:
        yield f"{name}: {describe(error, kind)} (it is {value!r})"


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _check_layout(layout: str) -> None:
    Layout(Path(), layout)


def _check_greeting(greeting: str) -> None:
    if not is_greeting(greeting):
        raise ValueError("Expected at most 200 ASCII characters without '<' and '['")


def _check_domain(domain: str) -> None:
    if not re.fullmatch(r"[^\sA-Z@/:]{1,200}", domain):
        raise ValueError('Expected a domain in lower case, such as "example.com"')


def _check_implementation(implementation: str) -> None:
    if not is_implementation(implementation):
        raise ValueError("Expected one word of at most 200 ASCII characters, or an empty string")


def _check_listen(addresses: Iterable[str]) -> None:
    for address in addresses:
        ListenAddress.parse(address)


def _check_directories(uris: str) -> None:
    """Reject the other forms that libldap accepts: `start_tls` would not know their hosts."""
    if not re.fullmatch(rf"({LDAP_URI}\s+)*{LDAP_URI}", uris):
        known = '"ldap://HOST", "ldaps://HOST" or "ldapi://FILE"'
        raise ValueError(f"Expected {known}, with spaces between several")


def _check_unique_ids(text: str) -> None:
    if text not in {RESTANTE_UIDS, COURIER, X_UIDL}:
        DovecotUniqueIds(text)


def _check_shards(shards: Mapping[str, object]) -> None:
    for name in shards:
        if name == "first" or not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,31}", name):
            raise ValueError('Expected names of a-z, 0-9, "-" and "_", other than "first"')


def _check_jwks(source: str) -> None:
    if "://" in source:  # a file else
        require_https(source)


def _check_networks(networks: Iterable[str]) -> None:
    for network in networks:
        parse_network(network)


CHECKS: Mapping[str, Callable[[Any], object]] = {
    "server.listen": _check_listen,
    "server.proxies": _check_networks,
    "server.xclient_proxies": _check_networks,
    "accounts.ldap": _check_directories,
    "login.default_domain": _check_domain,
    "tls.listen": _check_listen,
    "tokens.jwks": _check_jwks,
    "tokens.introspection": require_https,
    "tokens.metadata_url": require_https,
    "tls.legacy_listen": _check_listen,
    "mail.layout": _check_layout,
    "mail.unique_ids": _check_unique_ids,
    "cluster.shards": _check_shards,
    "delivery.lmtp": parse_local_address,
    "metrics.listen": parse_local_address,
    "delivery.smtp": parse_loopback_address,
    "server.greeting": _check_greeting,
    "server.implementation": _check_implementation,
}

LDAP_URI = r"ldap[si]?://[^\s,]*"

RESERVED = ("new", "cur", "tmp")
"""The folders that each Maildir has."""

ACCOUNT_BACKENDS = ("users", "pam", "ldap", "postgresql_dsn_file", "mysql_dsn_file")

MISSING_HINTS = {
    "mail.folder": "set it in the file of --config, or give --mail DIR",
    "cluster.postgresql_dsn_file": "set a file with the address of the database",
    "accounts.users": "set it in the file of --config, or give --users FILE, which `pop3 user add` "
    "creates",
}
NOT_WITHOUT_NAMES = (
    "accounts.app_passwords",
    "accounts.masters",
    "tls.client_ca",
    "tokens.jwks",
    "tokens.introspection",
)
NEEDS_FILE = "requires accounts in a file (accounts.users); omit it"
NEEDS_BASE = "requires ldap.base, because a bind alone knows an account only by its password"
