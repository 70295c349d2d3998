"""The PROXY protocol, versions 1 and 2: which client a proxy connects.

HAProxy's proxy-protocol.txt (version 2.x, sections 2.1 and 2.2) defines it. A connection from a
proxy must begin with a header. If it were optional, clients could forge their address.
"""

from __future__ import annotations

import ipaddress
import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"
V1_LIMIT: Final = 107  # octets of a header of version 1, line end included
UNKNOWN: Final = "unknown"
"""The address of every client whose address the proxy does not give: no machine has it."""

LONGEST_NAME: Final = 255  # characters of a client certificate's name that are kept

_LOCAL, _PROXY = 0, 1
_UNSPECIFIED, _IPV4, _IPV6, _UNIX = range(4)
_TRANSPORTS: Final = 3  # unspecified, STREAM, DGRAM
_ADDRESSES: Final = {_UNSPECIFIED: 0, _IPV4: 12, _IPV6: 36, _UNIX: 216}  # octets of both ends
_TLV_TLS, _TLV_VERSION, _TLV_NAME, _TLV_CIPHER = 0x20, 0x21, 0x22, 0x23
_TLS, _CERTIFICATE = 0x01, 0x06  # bits; a certificate was shown now, or in a resumed session
_FAMILIES: Final = {b"TCP4": 4, b"TCP6": 6}
_PORT = re.compile(rb"0|[1-9][0-9]{0,4}")


class ProxyError(Exception):
    """The connection does not begin with a PROXY header."""


@dataclass(frozen=True, slots=True)
class ProxiedTls:
    """The TLS between the client and the proxy, as the proxy reports it."""

    version: str  # and the cipher, such as "TLSv1.3 TLS_AES_256_GCM_SHA384"
    client_name: str = ""  # the common name of the client's certificate
    verified: bool = False  # whether the proxy trusts that certificate


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """A header and what follows it.

    `address` is an IP address, `UNKNOWN`, or None where the proxy speaks for itself (LOCAL).
    """

    address: str | None
    rest: bytes
    tls: ProxiedTls | None = None


def read_header(octets: bytes) -> ProxyHeader | None:
    """Return the header at the beginning of a connection; None while it is not complete.

    Raises ProxyError.
    """
    if octets[:12] == SIGNATURE[: len(octets)]:
        return _read_v2(octets)
    if octets[:6] == b"PROXY "[: len(octets)]:
        return _read_v1(octets)
    raise ProxyError("no PROXY header")


def plain_address(packed: bytes | str) -> str:
    """Return an IP address as the server compares and logs it. Raises ValueError.

    An IPv4 address that is mapped into IPv6 is the IPv4 address. A zone (RFC 4007 section 11)
    means something on the proxy alone, and is left out.
    """
    ip = ipaddress.ip_address(packed)
    if isinstance(ip, ipaddress.IPv6Address):
        ip = ip.ipv4_mapped or ipaddress.IPv6Address(ip.packed)
    return UNKNOWN if ip.is_unspecified else str(ip)


def _read_v1(octets: bytes) -> ProxyHeader | None:
    line, end, rest = octets[:V1_LIMIT].partition(b"\r\n")
    if not end:
        if len(octets) >= V1_LIMIT:
            raise ProxyError("a PROXY header that is too long")
        return None
    rest += octets[V1_LIMIT:]
    match line.split(b" "):
        case [_, b"TCP4" | b"TCP6" as family, source, target, *ports] if len(ports) == 2:
            address = _address(source, _FAMILIES[family])
            _address(target, _FAMILIES[family])
            if all(_PORT.fullmatch(port) and int(port) <= 65_535 for port in ports):
                return ProxyHeader(address, rest)
        case [_, b"UNKNOWN", *_]:
            return ProxyHeader(UNKNOWN, rest)
    raise ProxyError("a PROXY header that is not understood")


def _address(text: bytes, version: int) -> str:
    try:
        if ipaddress.ip_address(text.decode("ascii")).version == version:
            return plain_address(text.decode("ascii"))
    except ValueError:
        pass
    raise ProxyError("a PROXY header without an address") from None


def _read_v2(octets: bytes) -> ProxyHeader | None:
    if len(octets) < 16:
        return None
    version_and_command, family_and_transport, length = struct.unpack_from("!BBH", octets, 12)
    if version_and_command >> 4 != 2 or version_and_command & 15 not in (_LOCAL, _PROXY):
        raise ProxyError("a PROXY header of an unknown version")
    if len(octets) < 16 + length:
        return None
    block, rest = octets[16 : 16 + length], octets[16 + length :]
    if version_and_command & 15 == _LOCAL:
        return ProxyHeader(None, rest)
    family, transport = divmod(family_and_transport, 16)
    if family not in _ADDRESSES or transport >= _TRANSPORTS:
        raise ProxyError("a PROXY header of an unknown kind of address")
    if len(block) < _ADDRESSES[family]:
        raise ProxyError("a PROXY header that is too short")
    address = UNKNOWN
    if family in (_IPV4, _IPV6) and transport:
        address = plain_address(block[: 4 if family == _IPV4 else 16])
    return ProxyHeader(address, rest, _tls(block[_ADDRESSES[family] :]))


def _tls(fields: bytes) -> ProxiedTls | None:
    """Parse the fields about TLS (section 2.2.5); None without TLS, or with invalid fields."""
    try:
        value = dict(_fields(fields)).get(_TLV_TLS, b"")
        bits, verified = struct.unpack_from("!BI", value)
        subfields = dict(_fields(value[5:]))
    except struct.error:
        return None
    if not bits & _TLS:
        return None
    version, cipher, name = (
        subfields.get(kind, b"").decode(errors="replace")[:LONGEST_NAME]
        for kind in (_TLV_VERSION, _TLV_CIPHER, _TLV_NAME)
    )
    shown = name if bits & _CERTIFICATE else ""
    return ProxiedTls(f"{version or 'TLS'} {cipher}".rstrip(), shown, bool(shown) and not verified)


def _fields(octets: bytes) -> Iterator[tuple[int, bytes]]:
    """Split type-length-value fields. Raises struct.error: one exceeds the octets."""
    place = 0
    while place < len(octets):
        kind, length = struct.unpack_from("!BH", octets, place)
        (value,) = struct.unpack_from(f"{length}s", octets, place + 3)
        yield kind, value
        place += 3 + length
