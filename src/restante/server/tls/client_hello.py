"""The offer of a client, before TLS is agreed upon: RFC 8446 section 4.1.2."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST_HELLO = 16 * 1024  # octets
MAX_RECORDS = 8  # that a ClientHello may be in; each look at its beginning costs this much

_ALERT, _HANDSHAKE, _CLIENT_HELLO = 21, 22, 1
_SERVER_NAME, _GROUPS, _SIGNATURES, _SUPPORTED_VERSIONS = 0, 10, 13, 43
_NAMES = {
    0x0300: "SSL 3.0",
    0x0301: "TLS 1.0",
    0x0302: "TLS 1.1",
    0x0303: "TLS 1.2",
    0x0304: "TLS 1.3",
}
OLD_VERSIONS = frozenset({"SSL 3.0", "TLS 1.0", "TLS 1.1"})  # RFC 8996


def begins_tls(octets: bytes) -> bool:
    """Return whether octets begin as TLS does: with a handshake, or an alert of one that gives up.

    So does a ClientHello of SSL 2.0, whose first bit is set: RFC 5246 appendix E.2.
    """
    return octets[0] in (_ALERT, _HANDSHAKE) or octets[0] >= 0x80


def newest_version(octets: bytes) -> str | None:
    """Return the newest version that a ClientHello offers, None for other octets."""
    try:
        versions = [version for version in _versions(octets) if version in _NAMES]
    except (struct.error, IndexError):
        return None
    return _NAMES[max(versions)] if versions else None


def _versions(octets: bytes) -> list[int]:
    if octets[0] != _HANDSHAKE or octets[5] != _CLIENT_HELLO:
        return []
    legacy: int = struct.unpack_from("!H", octets, 9)[0]
    place = 11 + 32  # version, random
    place += 1 + octets[place]  # session id
    place += 2 + struct.unpack_from("!H", octets, place)[0]  # cipher suites
    place += 1 + octets[place]  # compression methods
    place += 2  # length of all extensions
    while place + 4 <= len(octets):
        kind, length = struct.unpack_from("!HH", octets, place)
        place += 4
        if kind == _SUPPORTED_VERSIONS:
            count = octets[place] // 2
            return list(struct.unpack_from(f"!{count}H", octets, place + 1))
        place += length
    return [legacy]


@dataclass(frozen=True, slots=True)
class Hello:
    """The fields of a ClientHello that decide which certificate its client can use."""

    versions: frozenset[int]
    suites: frozenset[int]
    signatures: frozenset[int] = frozenset()  # algorithms; empty where it names none
    groups: frozenset[int] = frozenset()  # curves; the same
    name: bytes = b""  # the server's name: RFC 6066 section 3


def read_hello(octets: bytes) -> Hello | None:
    """Return the ClientHello that octets begin with, in however many records; None for a part.

    Raises ValueError: they begin with something else.
    """
    message = bytearray()
    place = records = 0
    while place + 5 <= len(octets):
        kind, _, length = struct.unpack_from("!BHH", octets, place)
        records += 1
        if kind != _HANDSHAKE or not length or records > MAX_RECORDS:
            raise ValueError("not a ClientHello")
        message += octets[place + 5 : place + 5 + length]
        place += 5 + length
        if len(message) < 4:
            continue
        size = int.from_bytes(message[1:4])
        if message[0] != _CLIENT_HELLO or size > LONGEST_HELLO:
            raise ValueError("not a ClientHello")
        if len(message) >= 4 + size:
            return _hello(bytes(message[4 : 4 + size]))
    if octets[place : place + 1] not in (b"", b"\x16"):
        raise ValueError("not a ClientHello")
    return None


def _hello(body: bytes) -> Hello:
    try:
        (legacy,) = struct.unpack_from("!H", body)
        place = 34 + 1 + body[34]  # version, random, session id
        suites, place = _numbers(body, place), place + 2 + _number(body, place)
        place += 1 + body[place]  # compression methods
        extensions = dict(_extensions(body, place + 2))
        versions = extensions.get(_SUPPORTED_VERSIONS)
        names = extensions.get(_SERVER_NAME, b"")
        return Hello(
            frozenset({legacy}) if versions is None else _numbers(b"\0" + versions, 0),
            suites,
            _numbers(extensions.get(_SIGNATURES, b"\0\0"), 0),
            _numbers(extensions.get(_GROUPS, b"\0\0"), 0),
            names[5 : 5 + _number(names, 3)] if names else b"",
        )
    except (struct.error, IndexError):
        raise ValueError("an invalid ClientHello") from None


def _extensions(body: bytes, place: int) -> Iterator[tuple[int, bytes]]:
    while place + 4 <= len(body):
        kind, length = struct.unpack_from("!HH", body, place)
        yield kind, body[place + 4 : place + 4 + length]
        place += 4 + length


def _number(octets: bytes, place: int) -> int:
    (number,) = struct.unpack_from("!H", octets, place)
    return int(number)


def _numbers(octets: bytes, place: int) -> frozenset[int]:
    """Return a list of numbers after its length in octets."""
    count = _number(octets, place) // 2
    return frozenset(struct.unpack_from(f"!{count}H", octets, place + 2))
