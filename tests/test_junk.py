"""Login names of junk maildrops."""

from __future__ import annotations

import pytest

from restante.junk import account_of, is_junk, junk_of, with_suffix, without_suffix


@pytest.mark.parametrize(
    ("name", "bare"),
    [
        ("ann+junk", "ann"),
        ("Ann+JUNK@example.com", "Ann@example.com"),
        ("ann+junk+junk", "ann+junk"),
        ("+junk", "+junk"),
        ("ann@example.com+junk", "ann@example.com+junk"),
        ("ann", "ann"),
        ("", ""),
    ],
)
def test_without_suffix(name: str, bare: str) -> None:
    """The suffix is that of the local part, in any case, after at least one character."""
    assert without_suffix(name, "+junk") == bare
    assert without_suffix(name, "") == name


def test_with_suffix() -> None:
    """The name of the junk maildrop has the suffix before the domain."""
    assert with_suffix("ann@example.com", "+junk") == "ann+junk@example.com"
    assert with_suffix("ann", "+junk") == "ann+junk"


def test_name_at_the_store() -> None:
    """The name at the store leads back to the account."""
    assert is_junk(junk_of("ann"))
    assert not is_junk("ann+junk")
    assert account_of(junk_of("ann")) == account_of("ann") == "ann"
