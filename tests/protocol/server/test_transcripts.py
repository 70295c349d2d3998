"""Every transcript on the core in memory; tests/server/connection has them on sockets."""

from __future__ import annotations

import pytest

from support import transcript
from support.world import play_in_memory


@pytest.mark.parametrize("name", transcript.names())
def test_the_core_says_what_the_transcript_says(name: str) -> None:
    """The core alone replies as the transcript says, octet for octet."""
    play_in_memory(name)
