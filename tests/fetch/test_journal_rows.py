"""Names of messages in the journal."""

from __future__ import annotations

import pytest

from restante.fetch.journal_rows import HEADER_OF, is_named_by_contents


@pytest.mark.parametrize(
    ("name", "by_contents"),
    [("header abc 12", True), (f"{HEADER_OF}1.M1", False), ("header1", False), ("1.M1", False)],
)
def test_kinds_of_names(name: str, by_contents: bool) -> None:  # a row of the table
    """A name of contents has a digest; the name of a header, and a unique-id, do not."""
    assert is_named_by_contents(name) == by_contents
