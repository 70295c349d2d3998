"""Hints for names that are not known."""

from restante.near_names import suggest_names

KNOWN = ("retr-cut", "retr-cat", "stat-cut", "login")


def test_near_spellings() -> None:
    """The hint names the nearest ones, at most `most` of them."""
    assert suggest_names("logni", KNOWN, "see the list") == "did you mean login?"
    assert suggest_names("retr-cu", KNOWN, "", 2) == "did you mean retr-cut or retr-cat?"
    assert suggest_names("retr-cu", KNOWN, "", 1) == "did you mean retr-cut?"


def test_nothing_near() -> None:
    """Without a near name, the hint is what helps otherwise."""
    assert suggest_names("xyz", KNOWN, "see the list") == "see the list"
