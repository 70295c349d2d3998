"""The check of the pages' English."""

from __future__ import annotations

import pytest

import words


@pytest.mark.parametrize(
    "line",
    [
        "Whoever asks is told.", "This wants root.", "It is no folder.", "Wait so long.",
        "It takes commands.", "This takes the place of that.", "It looks at files.",
    ],
)  # fmt: skip
def test_a_bad_word_is_found(line: str) -> None:
    """A word that gives bad English away is named with its line."""
    assert next(words.faults(words.prose(f"A title\n\n{line}"))).startswith("3: ")


@pytest.mark.parametrize(
    "text",
    [
        "It is no longer there.", "Users who want to log in.", "```\nwants\n```", "`is told`",
        "It takes a minute.", "It looks up the name.",
    ],
)  # fmt: skip
def test_good_english_and_code_pass(text: str) -> None:
    """Persons may want something, and code is not English."""
    assert not list(words.faults(words.prose(text)))
