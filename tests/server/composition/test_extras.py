"""A configuration that requires a library which is not installed."""

from __future__ import annotations

import pytest

from restante.server.composition.extras import importing
from restante.server.config.loader import ConfigError


def test_missing_library() -> None:
    """The error names the setting, the library and the command that installs it."""
    with pytest.raises(ConfigError) as caught, importing("mysql", "accounts: MySQL"):
        import no_such_library  # type: ignore[import-not-found]  # noqa: F401

    problem = "accounts: MySQL requires no_such_library; pip install 'restante[mysql]'"
    assert caught.value.problems == [problem]
