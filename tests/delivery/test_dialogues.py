"""Dialogues of LMTP and SMTP, octet for octet, over real sockets. {host} is this machine's name."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop

from delivery.door import Peer, listening
from support import transcript
from support.transcript import Transcript

FOLDER = Path(__file__).parent / "dialogues"
NAMES = transcript.names(FOLDER)
MESSAGE_SIZE = 100_000  # octets
LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]


def read(name: str) -> Transcript:
    """Return a dialogue, with the name of this machine in it."""
    script = transcript.read(name, FOLDER)
    host = socket.gethostname().encode()
    script.steps = [
        (number, kind, octets.replace(b"{host}", host)) for number, kind, octets in script.steps
    ]
    return script


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("name", NAMES)
def test_dialogue(tmp_path: Path, name: str, loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """The server replies to each command as written."""
    script = read(name)
    with listening(tmp_path, loop_factory=loop, message_size=MESSAGE_SIZE) as door:
        with door.connect() if script.by == "lmtp" else door.connect_smtp() as peer:
            transcript.play(name, script, peer.send, peer.file.readline)


@pytest.mark.parametrize("name", NAMES)
def test_pipelined(tmp_path: Path, name: str) -> None:
    """The server replies in the same way when all commands come at once."""
    script = read(name)
    with listening(tmp_path, message_size=MESSAGE_SIZE) as door:
        with door.connect() if script.by == "lmtp" else door.connect_smtp() as peer:
            play_at_once(script, peer)


def play_at_once(script: Transcript, peer: Peer) -> None:
    said = [(kind, octets) for _, kind, octets in script.steps if kind in {"C", "raw"}]
    peer.send(b"".join(octets + b"\r\n" * (kind == "C") for kind, octets in said))
    heard = [octets + b"\r\n" for _, kind, octets in script.steps if kind == "S"]
    assert peer.file.readlines() == heard
