"""HTML as text: what a person would read, in linear time."""

from __future__ import annotations

import time

import pytest

from restante.mail.html_text import text_of


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("<p>One &amp;\n two<br>three</p>", "One & two\nthree"),
        ("<style>x</style><script>if (a<b) {}</script>seen<title>t</title>", "seen"),
        ("a</style>b<style>x</style>c", "abc"),
        ("<style>never closed <p>seen", "never closed\nseen"),
        ("a<!-- no --><!doctype x><?xml y?>b", "ab"),
        ('<img alt="a > b">c', "c"),
        ('<a href="https://x.org/?a=1&amp;b=2">here</a>.', "here <https://x.org/?a=1&b=2>."),
        ('<a href="https://x.org">https://x.org</a>', "https://x.org"),
        ("1 < 2 & 3 <4", "1 < 2 & 3 <4"),
        ("&#99999999999;&#x1F600;&eacute;&nosuch;", "\ufffd9999;😀é&nosuch;"),
        ("<table><tr><td>a<td>b</tr></table>", "a b"),
        ("<STYLE>x</StYlE>İ<B>y", "İy"),
        ("<a", "<a"),
        ("a </ b", "a </ b"),
        ("a<pre>\nx  y\r\n\n    <b>z\n</b></pre>b  c\nd", "a\nx  y\n\n    z\nb c d"),
        ("<PRE>1<br>  2\0</pre> e", "1\n  2\ne"),
        ("a\0  b</pre>", "a b"),
    ],
)
def test_text(page: str, text: str) -> None:
    """Blocks are lines, links show where they lead, and scripts are not seen."""
    assert text_of(page) == text


@pytest.mark.parametrize(
    "piece",
    ["<", "<a ", '<a "', "<!--", "<style>", "&#", "9", "<div>", "<title", "<!", "</", "'<a'", "&"],
)
def test_linear(piece: str) -> None:
    """No piece costs more when it comes a hundred thousand times."""
    begun = time.process_time()
    text_of("&#" + piece * 100_000)
    assert time.process_time() - begun < 5


def test_links_after_long_text() -> None:
    """A link does not cost more because of a long text before it."""
    begun = time.process_time()
    text_of("x" * 1_000_000 + '<a href="http://x.org">' * 50_000)
    assert time.process_time() - begun < 5
