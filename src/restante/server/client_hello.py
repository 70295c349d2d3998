"""What a client offers before TLS is agreed upon: RFC 8446 section 4.1.2."""

from __future__ import annotations

import struct

_ALERT, _HANDSHAKE, _CLIENT_HELLO, _SUPPORTED_VERSIONS = 21, 22, 1, 43
_NAMES = {
    0x0300: "SSL 3.0",
    0x0301: "TLS 1.0",
    0x0302: "TLS 1.1",
    0x0303: "TLS 1.2",
    0x0304: "TLS 1.3",
}
OLD_VERSIONS = frozenset({"SSL 3.0", "TLS 1.0", "TLS 1.1"})  # RFC 8996


def begins_tls(octets: bytes) -> bool:
    """Tell whether octets begin as TLS does: with a handshake, or an alert of one that gives up.

    So does a ClientHello of SSL 2.0, whose first bit is set: RFC 5246 appendix E.2.
    """
    return octets[0] in (_ALERT, _HANDSHAKE) or octets[0] >= 0x80


def newest_version(octets: bytes) -> str | None:
    """Return the newest version that a ClientHello offers; None for what is no ClientHello."""
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
