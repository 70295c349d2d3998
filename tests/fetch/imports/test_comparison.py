"""The state of a program beside what a server lists."""

from __future__ import annotations

import io

import pytest

from restante.fetch.imports.comparison import Comparison, compare
from restante.fetch.imports.getmail import map_uid
from restante.fetch.imports.programs import PROGRAMS
from restante.fetch.imports.state import read_state

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


@pytest.mark.parametrize(
    ("program", "octets", "uid"),
    [
        ("fetchmail", b"ann@h two\n", "two words"),
        ("fetchmail", b"ann@h *h\n", "*h\tann"),
        ("fetchmail", b"ann@h " + b"y" * 128 + b"\n", "y" * 200),
        ("fetchmail", b"ann@h " + b"\xc3\xa9" * 64 + b"\n", "\u00e9" * 70),
        ("mpop", b" 1 h ann\ntrail \n", "trail"),
        ("fdm", b"6 trail \n", "trail"),
        ("getmail", b"\xef\xbb\xbfu\0001795733028\r\n", "u"),
        ("fetchmail", b"\xef\xbb\xbfann@h u\r\n", "u"),
    ],
)
def test_an_odd_uid_is_known(program: str, octets: bytes, uid: str) -> None:
    """An odd unique-id, or an odd file, does not make a message new that was fetched."""
    state = read_state(PROGRAMS[program].parse, io.BytesIO(octets))
    ((source, known),) = state.accounts.items()
    assert source.user in {"ann", ""}
    found = compare(known, [uid], PROGRAMS[program].map_uid)
    assert (list(found.fetched), found.gone, state.skipped) == ([uid], {}, {})
