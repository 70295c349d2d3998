"""JSON objects of issuers, servers and domains, which may send anything."""

from __future__ import annotations

import json
from typing import Any


def read_object(octets: bytes) -> dict[str, Any] | None:
    """Return a JSON object, None for anything else.

    JSON can name halves of characters, which no text can have. They become U+FFFD, which neither
    a token nor a URL may have. So do octets that are not UTF-8, as in words of an error in Latin-1.
    """
    try:
        value = _decode(octets)
        text = json.dumps(value, ensure_ascii=False).encode("utf-16", "surrogatepass")
        value = json.loads(text.decode("utf-16", "replace"))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _decode(octets: bytes) -> Any:
    """Return JSON as a value. Raises ValueError, RecursionError."""
    try:
        return json.loads(octets)
    except UnicodeDecodeError:
        return json.loads(octets.decode("utf-8", "replace"))
