"""Where mail comes in, and what goes wrong with that. Nothing here needs the libraries for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class CannotListenError(Exception):
    """A socket cannot be opened; the text says why."""


@dataclass(frozen=True, kw_only=True)
class DeliverySettings:
    """Where mail comes in, and what is taken. The reference of the configuration explains them."""

    lmtp: Path | tuple[str, int] | None = None
    smtp: tuple[str, int] | None = None
    socket_mode: int = 0o660
    socket_group: str | None = None
    delimiter: str = "+"
    received: bool = False
    message_size: int = 64 * 1024 * 1024  # octets
    connections: int = 100
    patience: float = 300  # seconds for a peer's next command; RFC 5321 section 4.5.3.2.7
    stop_patience: float = 10  # seconds
