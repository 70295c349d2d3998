"""Capabilities that a server does not have: CAPA does not list them, and their commands fail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from restante.misbehave.conversation import relay
from restante.protocol.server.capabilities import CAPABILITIES
from restante.protocol.server.settings import require_several

if TYPE_CHECKING:
    from collections.abc import Collection, Generator

    from restante.protocol.server.needs import Conversation, Step

UNKNOWN = b"-ERR Unknown command.\r\n"
COMMANDS = {"SASL": ("AUTH",), "USER": ("USER", "PASS"), "PIPELINING": (), "RESP-CODES": ()}
"""The commands of a capability, where they are not called as it is."""

HIDDEN = frozenset({"CAPA", *(row.tag for row in CAPABILITIES)})
"""The names that can be hidden: capabilities, and CAPA itself."""


def check_hidden(names: Collection[str]) -> frozenset[str]:
    """Return the names in upper case. Raises ValueError: the server has no such capability."""
    require_several("without", names)
    upper = frozenset(name.upper() for name in names)
    unknown = sorted(upper - HIDDEN)
    if unknown:
        raise ValueError(f"unknown capability {unknown[0]}; there are {', '.join(sorted(HIDDEN))}")
    return upper


def hide(conversation: Conversation, names: frozenset[str]) -> Conversation:
    """Return the same conversation without some capabilities, named in upper case."""
    verbs = {verb for name in names for verb in COMMANDS.get(name, (name,))}
    verb = ""  # of the last command

    def ask(step: Step) -> Generator[Step, Any, object]:
        nonlocal verb
        if isinstance(step, tuple) and verb == "CAPA":
            step = _without(step[0], names), step[1]
        answer: object = yield step
        while isinstance(step, tuple) and isinstance(answer, bytes):
            verb = answer.partition(b" ")[0].strip().upper().decode("latin-1")
            if verb not in verbs:
                break
            answer = yield UNKNOWN, step[1]
        return answer

    return relay(conversation, ask)


def _without(reply: bytes, names: frozenset[str]) -> bytes:
    """Return the reply to CAPA without the lines of some capabilities."""
    status, *lines = reply.splitlines(keepends=True)
    return status + b"".join(
        line for line in lines if line.split(b" ")[0].strip().decode() not in names
    )
