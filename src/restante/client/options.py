"""The account, and the options of a connection."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Literal, TypeAlias, TypedDict
from urllib.parse import unquote

from restante.net.addresses import (
    HIGHEST_PORT,
    format_host_port,
    is_address,
    is_loopback,
    is_port,
    parse_port,
)
from restante.net.host_names import ascii_host, require_host

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping, Sequence

_SWITCHES = ("insecure_plaintext", "require_tls", "capa", "token", "initial_response", "utf8")
Tls: TypeAlias = Literal["implicit", "starttls", "none"]

PORTS: Mapping[str, int] = {"implicit": 995, "starttls": 110, "none": 110}
USUAL_PORTS: tuple[tuple[int, Tls], ...] = ((995, "implicit"), (110, "starttls"))  # best first
_SCHEMES: Mapping[str, Tls] = {
    "pop3s": "implicit",
    "pops": "implicit",
    "pop3": "starttls",
    "pop": "starttls",
}


@dataclass(frozen=True, slots=True)
class Target:
    """A server and the user of a maildrop on it.

    Attributes:
        host: a name or an address. Letters beyond ASCII become those of the DNS (IDNA 2008).
        port: 1 to 65535.
        tls: "implicit" for TLS from the first octet, "starttls" for STLS, or "none".
        user: the name to log in with, "" if it is not known.
        looked_up: the DNS or a file on the network named the host, and no person. Then it is never
            this machine: no loopback address is connected to, and no password is sent in clear
            text.

    Raises ValueError: an attribute has another value, or the host cannot be a name in the DNS.
    """

    host: str
    port: int
    tls: Tls
    user: str = ""
    looked_up: bool = False

    def __post_init__(self) -> None:
        _check_types(self, ("host", "user"), str, "text")
        object.__setattr__(self, "host", ascii_host(self.host))
        if not is_port(self.port):  # 0: not known yet
            raise _wrong(self, "port", f"a number from 1 to {HIGHEST_PORT}")
        if self.tls not in PORTS:
            raise _wrong(self, "tls", "'implicit', 'starttls' or 'none'")

    @property
    def loopback(self) -> bool:
        """Whether the server is this machine, and a person named it."""
        return not self.looked_up and is_loopback(self.host)

    def __str__(self) -> str:
        scheme = "pop3s" if self.tls == "implicit" else "pop3"
        user = f"{self.user}@" if self.user else ""
        return f"{scheme}://{user}{format_host_port(self.host, self.port)}"


def parse_url(url: str) -> Target:
    """Return the target of a `url`: pop3s://user@host:port or pop3://user@host:port.

    The last "@" ends the user. pop://user;AUTH=mech@host is accepted too (RFC 2384). Raises
    ValueError: it is not such a URL, or it has a password, which would stay in histories and
    process lists.
    """
    match = re.fullmatch(
        r"(\w+)://(?:(.*)@)?(\[[^\]]*\]|[^@:/]*)(?::([0-9]{0,20}))?/?", url, re.DOTALL
    )
    if not match or match[1].lower() not in _SCHEMES:
        raise ValueError("not an account; use pop3s://user@host or pop3://user@host:port")
    user = re.sub(r";auth=[^;]*$", "", match[2] or "", flags=re.IGNORECASE)
    if ":" in user:
        raise ValueError("a URL must not contain a password; omit it, and pop3 asks for it")
    if user.startswith("/"):
        raise ValueError("the URL has three slashes; use pop3s://user@host")
    tls = _SCHEMES[match[1].lower()]
    host = unquote(match[3].strip("[]"))
    if not host:
        raise ValueError("the URL has no host")
    require_host(host)
    port = parse_port(match[4]) if match[4] else PORTS[tls]
    return Target(host, port, tls, unquote(user))


def redact_account(account: str) -> str:
    """Return an account with stars in place of a password."""
    return re.sub(r"^((?:\w+://)?[^:/]*):(?!//).*@", r"\1:***@", account, flags=re.DOTALL)


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a connection. The defaults are safe.

    Attributes:
        connect_seconds: the time limit for each address to accept a connection, and for TLS.
        reply_seconds: the time limit for each reply, and for the next octets of a message. After
            twice that time, 100 octets a second must have come.
        total_seconds: the time limit for the whole session, None for none.
        context: TLS settings. None verifies the certificate and the name.
        server_name: the name that the certificate must have, "" for the host's.
        insecure_plaintext: allow a password without TLS if the server does not offer TLS. An
            offered STLS is still used. To this machine it is always allowed.
        require_tls: require TLS, also to this machine. Nothing of the login is sent without it.
        capa: send CAPA. False omits it, for servers that disconnect or do not reply.
        mechanisms: the login mechanisms to try, best first. None chooses the best.
        token: the password is an OAuth 2 token.
        initial_response: send the first response with AUTH, if the line has room.
        family: 4 or 6 for only that version of IP, 0 for both.
        resolve: addresses by (host, port), which replace those of the DNS.
        utf8: send UTF8, if the server supports it (RFC 6856).
        window: the most octets of commands that may be unanswered, for pipelining.
        message_octets: the most octets of a message to fetch, None for no limit but LIST's size.
        wrong_size: "warn" or "error" for a message whose size differs from LIST's.
        trace: called with "<" or ">" and a line, never with a secret.
        notice: called with an id and a text, once for each id, if a server breaks the protocol and
            its replies can be read all the same. `pop3 explain` has the ids.

    Raises ValueError: a value is invalid.
    """

    connect_seconds: float = 10
    reply_seconds: float = 20
    total_seconds: float | None = None
    context: ssl.SSLContext | None = None
    server_name: str = ""
    insecure_plaintext: bool = False
    require_tls: bool = False
    capa: bool = True
    mechanisms: tuple[str, ...] | None = None
    token: bool = False
    initial_response: bool = False
    family: Literal[0, 4, 6] = 0
    resolve: Mapping[tuple[str, int], str] = field(default_factory=dict)
    utf8: bool = False
    window: int = 4096
    message_octets: int | None = 256 * 1024 * 1024
    wrong_size: Literal["warn", "error"] = "warn"
    trace: Callable[[str, str], None] | None = None
    notice: Callable[[str, str], None] | None = None

    def __post_init__(self) -> None:
        _check_types(self, ("server_name",), str, "text")
        _check_types(self, _SWITCHES, bool, "True or False")
        object.__setattr__(self, "resolve", _read_addresses(self.resolve))
        object.__setattr__(self, "server_name", ascii_host(self.server_name))
        if self.server_name:
            require_host(self.server_name)
        for name in ("connect_seconds", "reply_seconds", "total_seconds"):
            seconds = getattr(self, name)
            none = name == "total_seconds"
            if not (_is_positive(seconds) or (none and seconds is None)):
                expected = f"a number over 0{', or None' if none else ''}"
                raise _wrong(self, name, expected)
        if self.family not in (0, 4, 6):
            raise _wrong(self, "family", "4 or 6, or 0 for both")
        if self.require_tls and self.insecure_plaintext:
            raise ValueError("require_tls and insecure_plaintext exclude each other")
        if self.wrong_size not in ("warn", "error"):
            raise _wrong(self, "wrong_size", "'warn' or 'error'")
        if not (isinstance(self.window, int) and self.window >= 0):
            raise _wrong(self, "window", "a number of octets")
        if not (self.message_octets is None or _is_positive(self.message_octets)):
            raise _wrong(self, "message_octets", "a number of octets over 0, or None")
        _check_objects(self)
        if self.mechanisms is not None:
            _check_mechanisms(self.mechanisms)


def _is_positive(value: object) -> bool:
    return isinstance(value, int | float) and value > 0


def _wrong(options: Options | Target, name: str, expected: str) -> ValueError:
    return ValueError(f"{name} is {getattr(options, name)!r}: it must be {expected}")


def _check_types(
    options: Options | Target, names: Sequence[str], kind: type, expected: str
) -> None:
    """Raise ValueError: a value has another type, such as "no", which would count as True."""
    for name in names:
        if not isinstance(getattr(options, name), kind):
            raise _wrong(options, name, expected)


def _read_addresses(resolve: Mapping[tuple[str, int], str]) -> dict[tuple[str, int], str]:
    """Return the addresses by host, in the form of the DNS, and port. Raises ValueError."""
    addresses: dict[tuple[str, int], str] = {}
    for place, address in resolve.items():
        match place, address:
            case (str(host), int(port)), str() if is_address(address):
                addresses[ascii_host(host).lower(), port] = address
            case _:
                raise ValueError(
                    f"resolve has {place!r}: {address!r}; write (host, port): 'IP address'"
                )
    return addresses


def _check_objects(options: Options) -> None:
    if options.context is not None and not hasattr(options.context, "wrap_bio"):
        raise _wrong(options, "context", "an ssl.SSLContext, or None")
    for name in ("trace", "notice"):
        if getattr(options, name) is not None and not callable(getattr(options, name)):
            raise _wrong(options, name, "a function of two texts, or None")


def _check_mechanisms(names: Sequence[str]) -> None:
    if isinstance(names, str):
        raise ValueError(f"mechanisms is {names!r}: write ({names!r},)")  # noqa: TRY004  # see Options
    from restante.client.mechanisms import CLIENT_MECHANISMS

    valid_names = (*CLIENT_MECHANISMS, "APOP", "USER")
    for name in names:
        if name.upper() not in valid_names:
            raise ValueError(f"unknown mechanism {name}: known are {', '.join(valid_names)}")


class OptionArgs(TypedDict, total=False):
    """The attributes of `Options`, by name, for `connect` and `check`."""

    connect_seconds: float
    reply_seconds: float
    total_seconds: float | None
    context: ssl.SSLContext | None
    server_name: str
    insecure_plaintext: bool
    require_tls: bool
    capa: bool
    mechanisms: tuple[str, ...] | None
    token: bool
    initial_response: bool
    family: Literal[0, 4, 6]
    resolve: Mapping[tuple[str, int], str]
    utf8: bool
    window: int
    message_octets: int | None
    wrong_size: Literal["warn", "error"]
    trace: Callable[[str, str], None] | None
    notice: Callable[[str, str], None] | None


def merge(options: Options | None, overrides: OptionArgs) -> Options:
    """Return `options`, None for the defaults, with the values in `overrides` instead of theirs.

    Raises TypeError: an option is unknown. Raises ValueError: a value is invalid.
    """
    valid_names = [option.name for option in fields(Options)]
    for name in overrides:
        if name not in valid_names:
            raise TypeError(f"unknown option {name}: known are {', '.join(valid_names)}")
    return replace(options or Options(), **overrides)


def end_time(options: Options) -> float:
    """Return the end of the total time, which begins now, by time.monotonic()."""
    return time.monotonic() + (options.total_seconds or float("inf"))


def time_over_text(options: Options) -> str:
    """Return the text of the error for the end of the total time."""
    return limit_passed_text(options.total_seconds or 0)


def limit_passed_text(seconds: float) -> str:
    """Return that a time limit of some seconds has passed."""
    return f"the time limit of {round(seconds, 1 if seconds >= 1 else 3):g} s has passed"
