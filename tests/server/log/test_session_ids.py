"""Session ids: what names one connection in the log."""

from __future__ import annotations

from restante.server.log.session_ids import is_session_id, new_session_id


def test_form() -> None:
    """An id is known by its form, and no name or address has it."""
    assert is_session_id(new_session_id())
    for other in (
        "ann",
        "ann@example.com",
        "192.0.2.1",
        "012345678",
        "0123456789\n",
        "0123456789a",
    ):
        assert not is_session_id(other)
