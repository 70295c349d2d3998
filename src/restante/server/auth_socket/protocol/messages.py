"""The messages of the protocol: a line each, of fields with a tab between them."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from restante.protocol.server.sasl import SERVER_MECHANISMS

if TYPE_CHECKING:
    from collections.abc import Iterable

MAJOR, MINOR = 1, 1  # the version of the protocol that the server speaks
LINE_LIMIT = 16_384  # octets, line end included: what the description of the protocol expects
MAX_ID = 2**32 - 1

_ESCAPES = {"\0": "0", "\x01": "1", "\t": "t", "\r": "r", "\n": "n"}
_UNESCAPES = {letter: character for character, letter in _ESCAPES.items()}


class ProtocolError(Exception):
    """The client does not speak the protocol; the text says what is wrong."""


@dataclass(frozen=True, slots=True)
class Version:
    """The version of the protocol that the client speaks."""

    major: int
    minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginRequest:
    """The beginning of a login: AUTH.

    Attributes:
        id: the number that the client gave the login.
        initial: the initial response in base64, "=" for an empty one, None without one.
        service: what the login is for, such as "smtp".
        address: of the user's program, as the client wrote it; "" without one.
        secured: the user's program uses TLS.
    """

    id: int
    mechanism: str
    initial: bytes | None = field(default=None, repr=False)
    service: str = ""
    address: str = ""
    secured: bool = False


@dataclass(frozen=True, slots=True)
class Response:
    """The user's response to a challenge, in base64: CONT."""

    id: int
    text: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Cancellation:
    """The end of a login that the user gave up: CANCEL."""

    id: int


ClientMessage: TypeAlias = Version | LoginRequest | Response | Cancellation


def parse_message(line: bytes) -> ClientMessage | None:
    """Return what a line says, None for nothing of interest. Raises ProtocolError."""
    command, *fields = line.removesuffix(b"\n").split(b"\t")
    match command, len(fields):
        case b"VERSION", 2:
            return Version(_number(fields[0]), _number(fields[1]))
        case b"AUTH", count if count >= 2:
            return _login_request(fields)
        case b"CONT", 2:
            return Response(_number(fields[0]), fields[1])
        case b"CANCEL", 1:
            return Cancellation(_number(fields[0]))
        case ((b"VERSION" | b"AUTH" | b"CONT" | b"CANCEL"), _):
            raise ProtocolError(f"{command.decode()} with {len(fields)} fields")
    return None  # CPID, and what later versions add


def greeting(mechanisms: Iterable[str], *, pid: int, connection: int, cookie: str) -> bytes:
    """Return the server's first lines. MECH comes before SPID: Postfix and Exim require that.

    The properties of a mechanism let smtpd_sasl_security_options of Postfix exclude it.
    `connection` is a number that no other connection of the process has.
    """
    offers = ("\t".join(["MECH", name, *SERVER_MECHANISMS[name].properties]) for name in mechanisms)
    return _lines(
        f"VERSION\t{MAJOR}\t{MINOR}",
        *offers,
        f"SPID\t{pid}",
        f"CUID\t{connection}",
        f"COOKIE\t{cookie}",
        "DONE",
    )


def challenge(login: int, octets: bytes) -> bytes:
    """Return a challenge for the user of a login."""
    return _lines(f"CONT\t{login}\t{base64.b64encode(octets).decode()}")


def success(login: int, user: str) -> bytes:
    """Return the reply to a login that succeeded, with the name of the account."""
    return _lines(f"OK\t{login}\tuser={_escape(user)}")


def failure(login: int, reason: str, *, user: str = "", temporary: bool = False) -> bytes:
    """Return the reply to a login that failed, with a reason that the user may read."""
    fields = [f"FAIL\t{login}"]
    if user:
        fields.append(f"user={_escape(user)}")
    if temporary:
        fields.append("temp")
    return _lines("\t".join([*fields, f"reason={_escape(reason)}"]))


def _login_request(fields: list[bytes]) -> LoginRequest:
    login, mechanism, *parameters = fields
    initial = None
    for number, parameter in enumerate(parameters):
        if parameter.startswith(b"resp="):
            if number != len(parameters) - 1:  # a tab in a response would forge parameters
                raise ProtocolError("AUTH with a parameter after resp")
            # Exim sends it empty where the user sent none. A response of no octets is "=".
            initial = parameter.removeprefix(b"resp=") or None
    named = dict(_unescape(parameter).partition("=")[::2] for parameter in parameters)
    return LoginRequest(
        id=_number(login),
        mechanism=mechanism.decode(errors="replace").upper(),
        initial=initial,
        service=named.get("service", ""),
        address=named.get("rip", ""),
        secured="secured" in named,
    )


def _number(octets: bytes) -> int:
    if not re.fullmatch(rb"[0-9]{1,10}", octets) or int(octets) > MAX_ID:
        raise ProtocolError("a field that is not a number of 32 bits")
    return int(octets)


def _escape(text: str) -> str:
    """Return a text that adds no field and no line."""
    return re.sub("[\0\x01\t\r\n]", lambda match: f"\x01{_ESCAPES[match[0]]}", text)


def _unescape(octets: bytes) -> str:
    text = octets.decode(errors="replace")
    return re.sub("\x01(.)", lambda match: _UNESCAPES.get(match[1], match[1]), text)


def _lines(*lines: str) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode(errors="replace")
