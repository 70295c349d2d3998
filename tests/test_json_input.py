"""JSON of other programs, whatever it is."""

from __future__ import annotations

from typing import Any

import pytest

from restante.json_input import read_json
from restante.server.control.messages import Action, ControlRequest

DEEP = b"[" * 100_000


def test_json_becomes_a_value() -> None:
    """What the type has is read, and the rest is left out."""
    request = read_json(b'{"action": "kick", "who": "ann", "more": [1]}', ControlRequest)
    assert (request.action, request.who) == (Action.KICK, "ann")


@pytest.mark.parametrize(
    ("octets", "kind"),
    [
        (b"", ControlRequest),
        (b"\xff", ControlRequest),
        (b'{"who": "\xff"}', ControlRequest),
        (b'{"who": 1}', ControlRequest),
        (b'{"more": ' + DEEP, ControlRequest),
        (DEEP, dict[str, Any]),
    ],
    ids=["nothing", "no text", "text not in UTF-8", "another type", "deep, not read", "deep"],
)
def test_anything_else_is_one_error(octets: bytes, kind: Any) -> None:
    """Each caller has one error to expect, which says what is wrong."""
    with pytest.raises(ValueError, match=r"\w"):
        read_json(octets, kind)
