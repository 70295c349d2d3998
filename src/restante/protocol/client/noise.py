"""What some servers put before and behind their replies, and what nobody should stumble over."""

from __future__ import annotations

import re

_NOISE = re.compile(
    rb"(?:\xef(?:\xbb(?:\xbf|\Z)|\Z)|\xff(?:[\xfb-\xfe].?|[\xf0-\xfa]|\Z)|[\0\t\n\r ])*", re.DOTALL
)
"""What may stand around replies: a byte order mark, telnet's negotiations, blanks, line ends."""


def without_noise(octets: bytes) -> bytes:
    """Return octets without what some servers put before a reply."""
    found = _NOISE.match(octets)
    return octets[found.end() :] if found else octets
