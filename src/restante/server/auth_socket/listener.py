"""The Unix socket that `pop3 serve` opens for the logins of other programs."""

from __future__ import annotations

import contextlib
import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from restante.server.auth_socket.connection import AuthSocketSharing, make_protocol
from restante.server.listener import STOP_PATIENCE, ListenError, explain_listening
from restante.server.system.accepting import stop_accepting
from restante.server.system.unix_sockets import UnixSockets, serve_unix_socket

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from structlog.typing import FilteringBoundLogger

    from restante.server.config.account_sections import AuthSocketSection
    from restante.server.context import ServerContext
    from restante.server.policies import ClearText
    from restante.server.system.activation import ActivatedSockets


@dataclass(kw_only=True)
class AuthSocketListener:
    """Listens for programs that have their users authenticated, at the socket `path`."""

    settings: AuthSocketSection
    path: Path
    clear_text: ClearText  # from where passwords may come without TLS
    stop_patience: float = STOP_PATIENCE  # seconds
    activated: ActivatedSockets | None = None  # by the service manager
    _files: UnixSockets = field(init=False, default_factory=UnixSockets)

    def open(self) -> Sequence[socket.socket]:
        """Return the listening socket. Raises ListenError."""
        path = self.path.absolute()
        if self.activated and (ready := self.activated.take([str(path)])):
            return ready
        try:
            return [self._files.open(path, self.settings.mode, self.settings.group)]
        except (OSError, LookupError) as error:
            self.close()
            reason = explain_listening(error, path)
            raise ListenError(f"cannot listen for logins at {path}: {reason}") from error

    @contextlib.asynccontextmanager
    async def serve(
        self, sockets: Sequence[socket.socket], context: ServerContext
    ) -> AsyncIterator[None]:
        """Authenticate users while the block runs; then finish logins under way."""
        sharing = AuthSocketSharing(
            context=context, clear_text=self.clear_text, most=self.settings.connections
        )
        connect = functools.partial(make_protocol, sharing)
        servers = [
            await serve_unix_socket(connect, opened, self._files, context.log) for opened in sockets
        ]
        context.listening.extend(("auth", server) for server in servers)
        context.log.info("listening", address=f"unix:{self.path.absolute()}", way="auth")
        try:
            yield
        finally:
            try:
                await stop_accepting(servers)
            finally:
                await sharing.connections.stop(self.stop_patience)

    def replace_lost(
        self, sockets: Sequence[socket.socket], log: FilteringBoundLogger
    ) -> Sequence[socket.socket]:
        """Return these sockets, with a new one for each whose file is gone."""
        return self._files.replace_lost(sockets, log)

    def close(self) -> None:
        """Remove the file of the socket."""
        self._files.close()
