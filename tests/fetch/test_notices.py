"""The warnings of a run."""

from __future__ import annotations

from restante.fetch.events import Notice
from restante.fetch.notices import Notices


def test_first_of_each_kind() -> None:
    """A run has one warning of each kind, in the order in which they came."""
    notices = Notices()
    notices.add("list-size", "one")
    notices.add("fetch-dele", "two")
    notices.add("list-size", "three")
    assert notices.take() == [Notice("list-size", "one"), Notice("fetch-dele", "two")]
    notices.add("fetch-dele", "four")
    assert notices.take() == []
