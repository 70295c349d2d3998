"""The state of a program beside what a server lists."""

from __future__ import annotations

from restante.fetch.imports.comparison import Comparison, compare
from restante.fetch.imports.getmail import map_uid

SEEN = 1795733028


def test_fetched_gone_and_new() -> None:
    """Entries are fetched if they are listed, and gone if not; other messages are new."""
    found = compare({"a": SEEN, "b": None}, ["c", "a"], str)
    assert found == Comparison({"a": SEEN}, {"b": None}, ["c"], [])


def test_uids_are_compared_as_written() -> None:
    """The unique-id of the server is noted, not the form that the program writes."""
    assert compare({"a-b": SEEN}, ["a/b"], map_uid).fetched == {"a/b": SEEN}


def test_an_ambiguous_entry_is_not_used() -> None:
    """If an entry stands for two messages, both are fetched: a double is better than a loss."""
    found = compare({"a-b": SEEN}, ["a/b", "a-b"], map_uid)
    assert found == Comparison({}, {}, ["a/b", "a-b"], ["a/b", "a-b"])


def test_a_uid_that_is_listed_twice() -> None:
    """A unique-id of two messages identifies neither."""
    assert compare({"a": None}, ["a", "a"], str).new == ["a", "a"]
