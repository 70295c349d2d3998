"""Valid and invalid unique-ids."""

from __future__ import annotations

import pytest

from restante.protocol.unique_id import is_valid_uid


@pytest.mark.parametrize("uid", ["!", "~" * 70, "1424693977.M84P2712.mail"])
def test_valid(uid: str) -> None:
    """RFC 1939 section 7 allows 1 to 70 characters from 0x21 to 0x7E."""
    assert is_valid_uid(uid)


@pytest.mark.parametrize("uid", ["", "~" * 71, "a b", "a\x7f", "a\tb", "\xfc"])
def test_invalid(uid: str) -> None:
    """Other texts are not unique-ids."""
    assert not is_valid_uid(uid)
