"""The settings of the protocol, which embedding programs choose."""

from __future__ import annotations

import pytest

from restante.protocol.server.settings import ProtocolSettings


def test_unknown_language() -> None:
    """A language without a catalogue is an error at once, and names those that are known."""
    with pytest.raises(ValueError, match="'it' is not known; use one of en, de, es, fr"):
        ProtocolSettings(language="it")
