"""Every transcript, over a real socket, on both event loops."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
import uvloop

from support import transcript
from support.live import serving


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.parametrize("name", transcript.names())
def test_the_server_says_what_the_transcript_says(
    name: str, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    """The server replies as the transcript says, octet for octet."""
    script = transcript.read(name)
    settings, offer = script.make_settings(), script.make_offer()
    with serving(settings=settings, offer=lambda: offer, loop_factory=loop) as live:
        for user, (password, messages) in script.mailboxes.items():
            live.add(user, password, *messages)
        with live.connect() as client:
            transcript.play(name, script, client.send, client.read_line)


def test_a_failure_shows_the_log() -> None:
    """A test that fails at a server has all lines of its log."""
    with pytest.raises(AssertionError) as caught, serving() as live:
        with live.connect() as client:
            assert client.read_line() == b"-ERR\r\n"
    assert "event=session" in caught.value.__notes__[0]
