"""The problems that a check of a cluster's mail finds."""

from __future__ import annotations

from typing import NamedTuple

KEPT = "\x02"  # before the owner of a box with removed messages: kept_owner in sql/
HIDDEN = "\x01"  # before the owner of a box that is being moved: hidden_owner in sql/


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
