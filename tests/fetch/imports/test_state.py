"""A whole file of state."""

from __future__ import annotations

import io
from unittest.mock import patch

import pytest

from restante.fetch.imports import fetchmail, getmail, state
from restante.fetch.imports.records import NAMELESS, SourceAccount
from restante.fetch.imports.state import SkippedLines, StateFileError, read_state

FIRST, LATER = 1700000000, 1795733028


def test_entries_by_account() -> None:
    """Messages are counted by account, and skipped lines by reason."""
    octets = b"ann@a 1\nbob@b 1\nbad\nann@a 2\nworse\n"
    read = read_state(fetchmail.parse, io.BytesIO(octets))
    ann, bob = SourceAccount("ann", "a"), SourceAccount("bob", "b")
    assert read.accounts == {ann: {"1": None, "2": None}, bob: {"1": None}}
    assert list(read.skipped.values()) == [SkippedLines(2, 3)]


def test_the_earlier_time_counts() -> None:
    """If a unique-id has two entries, mail is kept from the earlier time."""
    octets = b"u\0%d\nu\0%d\nu\x001\n" % (LATER, FIRST)
    assert read_state(getmail.parse, io.BytesIO(octets)).accounts == {NAMELESS: {"u": FIRST}}


def test_a_file_has_a_bound() -> None:
    """A file with more messages than the bound is an error."""
    with patch.object(state, "MAX_MESSAGES", 2), pytest.raises(StateFileError, match="than 2"):
        read_state(fetchmail.parse, io.BytesIO(b"a@b 1\na@b 2\na@b 3\n"))
