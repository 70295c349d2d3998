"""Which account, and how to get at it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Literal, TypeAlias, TypedDict
from urllib.parse import unquote

from restante.net.addresses import format_host_port, is_loopback
from restante.net.host_names import ascii_host

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping, Sequence

Tls: TypeAlias = Literal["implicit", "starttls", "none"]

PORTS: Mapping[str, int] = {"implicit": 995, "starttls": 110, "none": 110}
USUAL_PORTS: tuple[tuple[int, Tls], ...] = ((995, "implicit"), (110, "starttls"))  # best first
_SCHEMES: Mapping[str, Tls] = {"pop3s": "implicit", "pops": "implicit", "pop3": "starttls"}
_SCHEMES = {**_SCHEMES, "pop": "starttls"}


@dataclass(frozen=True, slots=True)
class Target:
    """A server, how to speak to it, and whose maildrop is wanted.

    Attributes:
        host: a name or an address; letters beyond ASCII become those of the DNS (IDNA 2008).
        looked_up: the DNS or a file on the network named it, and no person. Then it is never this
            machine: no address of loopback is connected to, and no password goes in clear.

    Raises ValueError: there is no such name.
    """

    host: str
    port: int
    tls: Tls
    user: str = ""
    looked_up: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "host", ascii_host(self.host))

    @property
    def loopback(self) -> bool:
        """Whether a person named this machine as the server."""
        return not self.looked_up and is_loopback(self.host)

    def __str__(self) -> str:
        scheme = "pop3s" if self.tls == "implicit" else "pop3"
        user = f"{self.user}@" if self.user else ""
        return f"{scheme}://{user}{format_host_port(self.host, self.port)}"


def parse_url(url: str) -> Target:
    """Return what pop3s://user@host:port or pop3://user@host names; the last "@" divides.

    pop://user;AUTH=mech@host is taken too (RFC 2384). Raises ValueError, which says what is wrong;
    a password in a URL is refused, for it would stay in histories and process lists.
    """
    found = re.fullmatch(r"(\w+)://(?:(.*)@)?(\[[^\]]*\]|[^@:/]*)(?::(\d*))?/?", url, re.DOTALL)
    if not found or found[1].lower() not in _SCHEMES:
        raise ValueError("write it as pop3s://user@host or pop3://user@host:port")
    user = re.sub(r";auth=[^;]*$", "", found[2] or "", flags=re.IGNORECASE)
    if ":" in user:
        raise ValueError("no password in a URL: leave it out, and you are asked for it")
    tls = _SCHEMES[found[1].lower()]
    host = unquote(found[3].strip("[]"))
    if not host:
        raise ValueError("the URL names no host")
    port = int(found[4]) if found[4] else PORTS[tls]
    if not 0 < port < 65536:
        raise ValueError(f"{port} is no port: ports are 1 to 65535")
    return Target(host, port, tls, unquote(user))


def redact_account(account: str) -> str:
    """Return an account as it may be shown, with stars where somebody typed a password."""
    return re.sub(r"^((?:\w+://)?[^:/]*):(?!//).*@", r"\1:***@", account, flags=re.DOTALL)


@dataclass(frozen=True, slots=True)
class Options:
    """How a client goes about it. The defaults are safe. Raises ValueError: a value cannot be.

    Attributes:
        connect_seconds: the time for each address to take a connection, and for TLS.
        reply_seconds: the time for the server's next reply, or the next octets of a message.
        total_seconds: the time for all of it, None for no end.
        context: TLS settings; None makes ones that verify the certificate and the name.
        server_name: the name that the certificate must have, where it is not the host's.
        insecure_plaintext: a password may go without TLS where the server has none. It permits
            and does not force: an offered STLS is used. To this machine it may always.
        require_tls: TLS must be there, to this machine too; nothing of the login goes without it.
        capa: ask for CAPA; False leaves it out, for servers that hang up or fall silent at it.
        mechanisms: what may be used to log in, best first; None means what is best.
        token: the password is an OAuth 2 token.
        initial_response: send the first response along with AUTH, where the line has room.
        family: 4 or 6 for only that version of IP, 0 for both.
        resolve: addresses by (host, port), in place of asking the DNS.
        utf8: say UTF8, where the server has it (RFC 6856).
        window: how many octets of commands may be under way at once.
        message_octets: the most octets of a message to fetch, None for as many as LIST says.
        wrong_size: what to do about a message whose size is not LIST's: "warn" or "error".
        trace: called with "<" or ">" and a line, never with a secret.
        notice: called with an id and a text where a server does something wrong that hinders
            nothing, once for each id; `pop3 explain` has the ids.
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
        resolve = {(ascii_host(host), port): to for (host, port), to in self.resolve.items()}
        object.__setattr__(self, "resolve", resolve)
        object.__setattr__(self, "server_name", ascii_host(self.server_name))
        for name in ("connect_seconds", "reply_seconds", "total_seconds"):
            seconds = getattr(self, name)
            none = name == "total_seconds"
            if not (_is_positive(seconds) or (none and seconds is None)):
                wanted = f"a number over 0{', or None' if none else ''}"
                raise _wrong(self, name, wanted)
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
        if self.mechanisms is not None:
            _check_mechanisms(self.mechanisms)


def _is_positive(seconds: object) -> bool:
    return isinstance(seconds, int | float) and seconds > 0


def _wrong(options: Options, name: str, wanted: str) -> ValueError:
    return ValueError(f"{name} is {getattr(options, name)!r}: it is {wanted}")


def _check_mechanisms(names: Sequence[str]) -> None:
    if isinstance(names, str):
        raise ValueError(f"mechanisms is {names!r}: write ({names!r},)")  # noqa: TRY004  # see Options
    from restante.client.mechanisms import CLIENT_MECHANISMS

    known = (*CLIENT_MECHANISMS, "APOP", "USER")
    for name in names:
        if name.upper() not in known:
            raise ValueError(f"{name} is no mechanism known here: {', '.join(known)}")


class OptionArgs(TypedDict, total=False):
    """Options by name, as `connect` and `check` take them."""

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


def merge(options: Options | None, given: OptionArgs) -> Options:
    """Return options with what is given by name in place of theirs.

    Raises TypeError: there is no such option. Raises ValueError: one has a value that cannot be.
    """
    known = [row.name for row in fields(Options)]
    for name in given:
        if name not in known:
            raise TypeError(f"there is no option {name}: there are {', '.join(known)}")
    return replace(options or Options(), **given)
