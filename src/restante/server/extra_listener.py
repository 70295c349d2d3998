"""The interface of a listener beside POP3, such as that of LMTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    import contextlib
    import socket
    from collections.abc import Sequence

    from structlog.typing import FilteringBoundLogger

    from restante.server.context import ServerContext


class ExtraListener(Protocol):
    """Listens beside POP3, in the same processes, with the same context."""

    def open(self) -> Sequence[socket.socket]:
        """Return listening sockets, opened once, before there are workers. Raises ListenError."""

    def serve(
        self, sockets: Sequence[socket.socket], context: ServerContext
    ) -> contextlib.AbstractAsyncContextManager[None]:
        """Serve at these sockets while the block runs; at its end finish what is under way."""

    def replace_lost(
        self, sockets: Sequence[socket.socket], log: FilteringBoundLogger
    ) -> Sequence[socket.socket]:
        """Return these sockets, with a new one for each whose file another program removed."""

    def close(self) -> None:
        """Remove what open() left behind, such as a Unix socket's file."""


OpenedListeners: TypeAlias = "Sequence[tuple[ExtraListener, Sequence[socket.socket]]]"
"""Listeners with the sockets that they have opened."""
