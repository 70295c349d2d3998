"""The protocol alone, on any Python: its modules, each transcript, and a session of its client.

`run.mjs` runs it in Pyodide, which has no library but Python's own.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys

import restante.protocol
from restante.protocol.client import operations
from restante.protocol.client.connection import ServerPeer
from restante.protocol.client.pipeline import carry_out
from support import transcript
from support.joined_session import Joined
from support.world import Talk, World, play_in_memory

MESSAGE = b"Subject: a\n\n.dot\n"


def import_all() -> int:
    """Import all modules of the protocol that are Python, and return how many there are."""
    found = pkgutil.walk_packages(restante.protocol.__path__, "restante.protocol.")
    names = [module.name for module in found if not module.name.endswith(".speedups")]
    for name in names:
        importlib.import_module(name)
    return len(names)


def read_mail() -> bytes:
    """Return a message that the client has read, and removed."""
    world = World()
    world.add("ann", "secret", MESSAGE)
    joined, peer = Joined(Talk(world), piece=3), ServerPeer()
    joined.run(peer.read_ok())
    joined.run(carry_out(peer, operations.user("ann")))
    joined.run(carry_out(peer, operations.pass_("secret")))
    assert joined.run(carry_out(peer, operations.uidl())) == {1: "uid-1"}
    joined.run(carry_out(peer, operations.retr(1)))
    joined.run(carry_out(peer, operations.dele(1)))
    joined.run(carry_out(peer, operations.quit_()))
    assert world.mail == {"ann": {}}
    return b"".join(joined.chunks)


if __name__ == "__main__":
    modules, names = import_all(), transcript.names()
    for name in names:
        play_in_memory(name)
    assert read_mail() == MESSAGE.replace(b"\n", b"\r\n")
    print(f"Python {sys.version.split()[0]}: {modules} modules, {len(names)} transcripts")  # noqa: T201
