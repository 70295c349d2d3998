"""Commands of settings are split as users expect it, without a shell."""

from __future__ import annotations

import pytest

from restante.user_commands import split_command


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("pass show mail/work", ["pass", "show", "mail/work"]),
        ("sh -c 'cat ~/a | head -1'", ["sh", "-c", "cat ~/a | head -1"]),
        ("~/bin/print ~/a a~/b ~ann/c", ["/home/ann/bin/print", "/home/ann/a", "a~/b", "~ann/c"]),
    ],
)
def test_words(command: str, words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Quotes hold words together, and `~/` at the beginning of a word is the home folder."""
    monkeypatch.setenv("HOME", "/home/ann")
    assert split_command(command) == words


@pytest.mark.parametrize(
    ("command", "said"), [(" ", "it is empty"), ("a 'b", "a quote is not closed")]
)
def test_no_command(command: str, said: str) -> None:
    """A command line that cannot be split is an error that says why."""
    with pytest.raises(ValueError, match=said):
        split_command(command)
