"""Lines that begin with "From ", quoted and not."""

from __future__ import annotations

import itertools
import re

from hypothesis import given
from hypothesis import strategies as st

from restante.storage.mbox.quoting import Quoting, Unquoting, quote_from_lines

texts = st.lists(st.sampled_from([b">", b"From ", b"Fro", b"m ", b"\n", b"x"])).map(b"".join)


def unquoted(*chunks: bytes) -> tuple[bytes, int, bool]:
    unquoting = Unquoting()
    text = b"".join(unquoting.feed(chunk) for chunk in chunks) + unquoting.finish()
    return text, unquoting.quotes, unquoting.plain


@given(texts)
def test_what_was_quoted_is_unquoted_to_what_it_was(text: bytes) -> None:
    """Quoted From-lines are unquoted to the same text."""
    lines = quote_from_lines(text)
    assert not re.search(rb"(?m)^From ", lines)
    assert unquoted(lines) == (text, len(lines) - len(text), False)


@given(texts, st.lists(st.integers(0, 40)))
def test_quoting_in_any_chunks(text: bytes, cuts: list[int]) -> None:
    """The quoting of a text is the same in chunks of any length."""
    places = [0, *sorted(cuts), len(text)]
    chunks = [text[a:b] for a, b in itertools.pairwise(places)]
    assert unquoted(*chunks) == unquoted(text)
    quoting = Quoting()
    quoted = b"".join(quoting.feed(chunk) for chunk in chunks) + quoting.finish()
    assert quoted == quote_from_lines(text)


def test_a_line_without_quotes_is_noticed() -> None:
    """A From-line without a quote is noticed, also over two pieces."""
    assert unquoted(b"From a\n")[2]
    assert unquoted(b"a\nFr", b"om a\n")[2]
    assert not unquoted(b"a From b\n>From c\n")[2]


def test_a_long_run_of_quotes_is_not_kept_in_memory() -> None:
    """A long run of quotes is not kept in memory."""
    unquoting = Unquoting()
    for _ in range(100):
        assert len(unquoting.feed(b">" * 1000)) >= 999
    assert len(unquoting.finish()) == 1
