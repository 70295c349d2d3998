"""The configuration file: TOML, typed, and every mistake told at once."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import msgspec

from restante.protocol.state import Settings
from restante.server.address import Address
from restante.server.observe import Format
from restante.storage.layout import Layout

Seconds: TypeAlias = Annotated[float, msgspec.Meta(gt=0, le=86_400)]
Decode: TypeAlias = Callable[[type[Any], Any], object]
Count: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]

_DEFAULTS = Settings()


class Section(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A table of the file; the reference page is made of its docstring and fields."""


class Server(Section):
    """Where to listen, and what to say.

    Attributes:
        listen: Addresses, as HOST:PORT; an IPv6 host stands in brackets, and * is every address.
        greeting: The text behind the first +OK.
        implementation: What CAPA tells of the server's kind; an empty one is not announced.
        strict_line_ends: Refuse commands that end with LF alone.
        login_delay: Seconds between two logins of a user; announced by CAPA, and enforced.
    """

    listen: tuple[str, ...] = ("127.0.0.1:110", "[::1]:110")
    greeting: str = _DEFAULTS.greeting
    implementation: str = _DEFAULTS.implementation
    strict_line_ends: bool = False
    login_delay: Annotated[int, msgspec.Meta(ge=1, le=86_400)] | None = None


class Mail(Section):
    """Where maildrops lie.

    Attributes:
        folder: The folder with all of them. It must be there.
        layout: A user's Maildir below it, made of {user}, {local} and {domain}.
    """

    folder: Path
    layout: str = "{user}"


class Accounts(Section):
    """Who may log in.

    Attributes:
        users: The file of accounts, read again whenever it changes.
    """

    users: Path


class Timeouts(Section):
    """All in seconds.

    Attributes:
        login: How long a client may take for each command until it has logged in.
        idle: The same after that. RFC 1939 wants at least 600.
        lock: How long a login waits for a maildrop that another session holds.
        write: How long a client may take no octet of a reply.
        stop: How long replies under way may take when the server ends.
    """

    login: Seconds = _DEFAULTS.login_timeout
    idle: Annotated[float, msgspec.Meta(ge=600, le=86_400)] = _DEFAULTS.idle_timeout
    lock: Annotated[float, msgspec.Meta(ge=0, le=60)] = 3
    write: Seconds = 600
    stop: Seconds = 10


class Limits(Section):
    """What the server takes upon itself.

    Attributes:
        connections: At once; more hear -ERR [SYS/TEMP] and are closed.
        bad_commands_before_login: In a row; then the connection is closed.
        bad_commands_after_login: The same after login.
    """

    connections: Count = 4000
    bad_commands_before_login: Annotated[int, msgspec.Meta(ge=10, le=1000)] = 10
    bad_commands_after_login: Annotated[int, msgspec.Meta(ge=30, le=1000)] = 30


class Log(Section):
    """One line an event, on standard error.

    Attributes:
        format: "text" is key=value, "json" is JSON.
    """

    format: Format = "text"


class Config(Section):
    """A whole file."""

    mail: Mail
    accounts: Accounts
    server: Server = msgspec.field(default_factory=Server)
    timeouts: Timeouts = msgspec.field(default_factory=Timeouts)
    limits: Limits = msgspec.field(default_factory=Limits)
    log: Log = msgspec.field(default_factory=Log)

    def settings(self) -> Settings:
        """Return the part that the protocol wants to know."""
        return Settings(
            greeting=self.server.greeting,
            implementation=self.server.implementation,
            login_timeout=self.timeouts.login,
            idle_timeout=self.timeouts.idle,
            login_delay=self.server.login_delay,
            strict_line_ends=self.server.strict_line_ends,
            bad_commands_before_login=self.limits.bad_commands_before_login,
            bad_commands_after_login=self.limits.bad_commands_after_login,
        )


class ConfigError(Exception):
    """The configuration cannot be used; `problems` says why, a line each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def load(file: Path | None, flags: Mapping[str, Mapping[str, object]]) -> Config:
    """Read a file, if any; flags, by section and key, win over it.

    Paths in the file are relative to its folder. Raises ConfigError.
    """
    data = _read(file) if file else {}
    for section, values in flags.items():
        table = data.setdefault(section, {})
        if isinstance(table, dict):
            table.update(values)
    base = file.parent if file else Path()

    def decode(_kind: type[Path], value: Any) -> Path:
        if not isinstance(value, str | Path):
            raise ValueError("Expected a path")  # noqa: TRY004  # msgspec tells of ValueErrors
        return base / value

    problems = list(_problems(data, Config, "", decode))
    if problems:
        where = f"{file}: " if file else ""
        raise ConfigError([where + problem for problem in problems])
    return msgspec.convert(data, Config, dec_hook=decode)


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text())
    except OSError as error:
        raise ConfigError([f"{file}: {error.strerror}"]) from error
    except ValueError as error:  # bad TOML, bad UTF-8
        raise ConfigError([f"{file}: {error}"]) from error


def _problems(data: object, section: type[Section], path: str, decode: Decode) -> Iterator[str]:
    """Look at every key of a table, since msgspec itself stops at the first mistake."""
    if not isinstance(data, dict):
        yield f"{path}: expected a table, [{path}]"
        return
    fields = {field.name: field for field in msgspec.structs.fields(section)}
    for key in data.keys() - fields.keys():
        near = difflib.get_close_matches(key, fields, 1)
        hint = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(fields)}"
        yield f"{_join(path, key)}: unknown; {hint}"
    for key, field in fields.items():
        name = _join(path, key)
        if isinstance(field.type, type) and issubclass(field.type, Section):
            if key in data or field.required:
                yield from _problems(data.get(key, {}), field.type, name, decode)
        elif key not in data:
            if field.required:
                yield f"{name}: missing; {NEEDED[name]}"
        else:
            yield from _problem(data[key], field.type, name, decode)


def _problem(value: object, kind: Any, name: str, decode: Decode) -> Iterator[str]:
    try:
        found = msgspec.convert(value, kind, dec_hook=decode)
        CHECKS.get(name, lambda _: None)(found)
    except (msgspec.ValidationError, ValueError) as error:
        yield f"{name}: {error} (it is {value!r})"


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _check_layout(layout: str) -> None:
    Layout(Path(), layout)


def _check_greeting(greeting: str) -> None:
    """RFC 1939 section 7, APOP, and RFC 2449 section 3 read a meaning into "<" and "["."""
    if (
        not greeting.isascii()
        or not greeting.isprintable()
        or set(greeting) & set("<[")
        or len(greeting) > 200
    ):
        raise ValueError("Expected at most 200 ASCII characters, no '<' and no '['")


def _check_implementation(implementation: str) -> None:
    """RFC 2449 section 6.9: one word, or nothing for no announcement."""
    if not implementation.isascii() or not implementation.isprintable() or " " in implementation:
        raise ValueError("Expected one word of ASCII characters, or nothing")


def _check_listen(addresses: Iterable[str]) -> None:
    for address in addresses:
        Address.parse(address)


CHECKS: Mapping[str, Callable[[Any], None]] = {
    "server.listen": _check_listen,
    "mail.layout": _check_layout,
    "server.greeting": _check_greeting,
    "server.implementation": _check_implementation,
}

NEEDED = {
    "mail.folder": "the folder with the maildrops, or --mail DIR",
    "accounts.users": "the file of accounts, or --users FILE; `pop3 user add` makes one",
}
