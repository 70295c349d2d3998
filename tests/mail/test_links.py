"""The links of a message."""

from __future__ import annotations

import time

from restante.mail.links import MAX_LINKS, find_links


def test_links_of_text() -> None:
    """A link ends before the punctuation of the sentence around it."""
    text = "See https://a.example/x?y=1&z=2. (Or http://b.example/w_(c).) <https://c.example>"
    assert find_links(text, "") == [
        "https://a.example/x?y=1&z=2", "http://b.example/w_(c)", "https://c.example"
    ]  # fmt: skip


def test_links_of_html_come_first_and_once() -> None:
    """The HTML's links are decoded, and a link in both texts is listed once."""
    page = """<A HREF='https://a.example/?x=1&amp;y=2'>a</A><a href=mailto:b@example.com>
        <a href="javascript:alert(1)"><a href="/relative"><a data-x=1 href = "tel:+49">"""
    text = "https://a.example/?x=1&y=2 https://z.example"
    assert find_links(text, page) == [
        "https://a.example/?x=1&y=2", "mailto:b@example.com", "tel:+49", "https://z.example"
    ]  # fmt: skip


def test_many_links_are_cut() -> None:
    """A message of many links costs little, and the list ends."""
    begun = time.process_time()
    found = find_links("", "<a href='" * 100_000 + "<a href=https://a.example/1>" * 5)
    assert found == ["https://a.example/1"]
    assert len(find_links(" ".join(f"http://a.example/{n}" for n in range(1000)), "")) == MAX_LINKS
    assert time.process_time() - begun < 5


def test_many_closing_parentheses() -> None:
    """Links that end with many parentheses cost time by their octets alone."""
    begun = time.process_time()
    text = ("http://a.example" + ")" * 1980 + " ") * 2000
    assert find_links(text, "") == ["http://a.example"]
    assert time.process_time() - begun < 2
