"""The requests of a client's dialogue to its driver.

The same dialogue runs on a blocking socket, under asyncio, and joined to a server in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

from restante.protocol.effects import Effect

T = TypeVar("T")


@dataclass(slots=True)
class Send(Effect[None]):
    """Send octets. Throws ConnectionLostError or ReplyTimeoutError.

    They may have a secret, and tools that report errors print the variables of each frame.
    """

    octets: bytes = field(repr=False)


@dataclass(slots=True)
class Receive(Effect[bytes]):
    """Return octets as they come, b"" if the server has closed the connection.

    `fresh`: a new line or chunk begins, and with it the reply timeout, or one of `seconds`. Throws
    ConnectionLostError or ReplyTimeoutError.
    """

    fresh: bool = True
    seconds: float | None = None


@dataclass(slots=True)
class Peek(Effect[bytes]):
    """Return octets that come within `seconds`, b"" if none do. It throws nothing.

    With 0 it returns only what has come already.
    """

    seconds: float


# The seconds of a Peek, by what may come. If it does not come then, it is not expected any more.
STRAY_OCTETS = 0.005  # what no command asked for
REST_OF_MESSAGE = 0.05  # more of a message after its supposed end
EXTRA_LINES = 0.25  # lines after a reply that should have one line
MORE_EXTRA_LINES = 1.0  # each further piece of them
END_OF_REPLY = 1.0  # the dot on a line of its own, after all that was promised


class StartClientTls(Effect[None]):
    """Do the TLS handshake and verify the server. Throws SecurityError among others."""

    __slots__ = ()


@dataclass(slots=True)
class MessageChunk(Effect[None]):
    """Give the next octets of a message to the caller."""

    octets: bytes


@dataclass(slots=True)
class Compute(Effect[None]):
    """Do work that takes long, where it delays nothing else. It never raises."""

    work: Callable[[], None]


ClientEffect: TypeAlias = Send | Receive | Peek | StartClientTls | MessageChunk | Compute

Dialogue: TypeAlias = Generator[ClientEffect, Any, T]
"""A part of a conversation under way; T is its result."""


def compute(work: Callable[[], T]) -> Dialogue[T]:
    """Return the result of work that takes long. Raises what the work raises.

    A driver that ignores `Compute` need not have threads: then the work is done here.
    """
    results: list[T] = []
    errors: list[Exception] = []

    def run() -> None:
        try:
            results.append(work())
        except Exception as error:  # noqa: BLE001  # it is raised below
            errors.append(error)

    yield from Compute(run)
    if not results and not errors:
        run()
    if errors:
        raise errors[0]
    return results[0]
