"""The session id: a short random text that ties all events of one connection in the log."""

from __future__ import annotations

import random
import re

ID_BITS = 40  # a million sessions share an id with a chance of 37%


def new_session_id() -> str:
    """Return an id of ten hexadecimal digits for a connection."""
    return f"{random.getrandbits(ID_BITS):010x}"  # it need not be secret


def is_session_id(text: str) -> bool:
    """Return whether a text has the form of such an id."""
    return re.fullmatch("[0-9a-f]{10}", text) is not None
