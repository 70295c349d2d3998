"""TOML of people, whatever it is."""

from __future__ import annotations

import pytest

from restante.toml_input import TomlError, parse_toml


def test_toml_becomes_tables() -> None:
    """Tables and values are those of the text."""
    assert parse_toml("a = 1\n[b]\nc = []\n") == {"a": 1, "b": {"c": []}}


@pytest.mark.parametrize(
    "text",
    ["a", "a = 1\na = 2", f"a = {'[' * 5000}", f"a = {'{b=' * 5000}", f"a = {'1' * 5000}",
     "a = 2026-13-01", f"a = 1e{'9' * 5000}x"],
)  # fmt: skip
def test_each_fault_is_an_error_of_toml(text: str) -> None:
    """What the library cannot read has one type of error."""
    with pytest.raises(TomlError):
        parse_toml(text)
