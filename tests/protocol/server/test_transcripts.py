"""Every transcript on the core in memory; tests/server/connection has them on sockets."""

from __future__ import annotations

import pytest

from support import transcript
from support.world import Talk, World


@pytest.mark.parametrize("name", transcript.names())
def test_the_core_says_what_the_transcript_says(name: str) -> None:
    """The core alone replies as the transcript says, octet for octet."""
    script = transcript.read(name)
    world = World()
    for user, (password, messages) in script.mailboxes.items():
        world.add(user, password, *messages)
    talk = Talk(world, script.make_settings(), offer=script.make_offer())
    unread = bytearray(talk.send())

    def send(octets: bytes) -> None:
        unread.extend(talk.send(octets))

    def read_line() -> bytes:
        end = unread.find(b"\n") + 1
        assert end or talk.over, f"the server should have said something; unread: {unread!r}"
        line = bytes(unread[:end])
        del unread[:end]
        return line

    transcript.play(name, script, send, read_line)
    assert not unread, f"the server said more: {unread!r}"
