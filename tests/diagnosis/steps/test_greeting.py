"""What the check says of a greeting and of capabilities."""

from __future__ import annotations

import pytest

from restante.diagnosis.steps.greeting import describe_changes


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        (
            {"SASL": "PLAIN LOGIN", "STLS": "", "TOP": ""},
            {"SASL": "PLAIN LOGIN XOAUTH2", "TOP": ""},
            "+SASL(PLAIN LOGIN XOAUTH2) -SASL(PLAIN LOGIN) -STLS",
        ),
        ({"TOP": ""}, {"TOP": ""}, "the same"),
        (None, {"TOP": ""}, "+TOP"),
    ],
)
def test_changed_capabilities(
    before: dict[str, str] | None, after: dict[str, str], text: str
) -> None:
    """A capability with several words stays whole."""
    assert describe_changes(before, after) == f"with TLS: {text}"
