"""The problems that a check of a cluster's mail finds."""

from __future__ import annotations

from typing import NamedTuple


class Problem(NamedTuple):
    """Something that does not agree.

    Attributes:
        kind: "body_missing", "message_missing", "size", "counters", "box_missing" or "claim".
        owner: whose mail it is about; "" if that is not known.
        text: what is wrong, in English.
        repaired: it was repaired.
    """

    kind: str
    owner: str
    text: str
    repaired: bool = False
