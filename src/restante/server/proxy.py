"""The PROXY protocol, versions 1 and 2: who the client behind a proxy is.

As HAProxy's proxy-protocol.txt (version 2.x, sections 2.1 and 2.2) has it. A connection from a
proxy must begin with it: there is no guessing, or a client could pretend.
"""

from __future__ import annotations

import ipaddress
import struct

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
V1_LIMIT = 107  # octets of a header of version 1, line end included
_LOCAL, _PROXY = 0, 1
_IPV4, _IPV6 = 1, 2


class ProxyError(Exception):
    """The connection does not begin with a PROXY header."""


def split(octets: bytes) -> tuple[str | None, bytes] | None:
    """Return the client's address and what follows the header; None while it is not all there.

    The address is None where the proxy speaks for itself. Raises ProxyError.
    """
    if octets[:12] == SIGNATURE[: len(octets)]:
        return _split_v2(octets)
    if octets[:6] == b"PROXY "[: len(octets)]:
        return _split_v1(octets)
    raise ProxyError("no PROXY header")


def _split_v1(octets: bytes) -> tuple[str | None, bytes] | None:
    line, end, rest = octets.partition(b"\r\n")
    if not end:
        if len(octets) >= V1_LIMIT:
            raise ProxyError("a PROXY header that is too long")
        return None
    match line.split(b" "):
        case [_, b"TCP4" | b"TCP6", source, _, _, _]:
            return _address(source.decode("ascii", errors="replace")), rest
        case [_, b"UNKNOWN", *_]:
            return None, rest
    raise ProxyError("a PROXY header that is not understood")


def _split_v2(octets: bytes) -> tuple[str | None, bytes] | None:
    if len(octets) < 16:
        return None
    version_and_command, family_and_transport, length = struct.unpack_from("!BBH", octets, 12)
    if version_and_command >> 4 != 2 or version_and_command & 15 not in (_LOCAL, _PROXY):
        raise ProxyError("a PROXY header of an unknown version")
    if len(octets) < 16 + length:
        return None
    block, rest = octets[16 : 16 + length], octets[16 + length :]
    if version_and_command & 15 == _LOCAL:
        return None, rest
    octets_of_address = {_IPV4: 4, _IPV6: 16}.get(family_and_transport >> 4)
    if octets_of_address is None:
        return None, rest
    if len(block) < 2 * octets_of_address + 4:
        raise ProxyError("a PROXY header that is too short")
    return str(ipaddress.ip_address(block[:octets_of_address])), rest


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ProxyError("a PROXY header without an address") from None
