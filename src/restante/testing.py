r"""A POP3 server for the tests of programs that fetch mail: in memory, on a free port of loopback.

    with restante.testing.serving() as server:
        server.add("ann", "secret", b"Subject: a\n\nhello\n")
        ...  # the program under test fetches from server.host, server.port
        assert server.messages("ann") == []

It is the server that `pop3 serve` runs, in a thread with an event loop of its own.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from restante.auth.interfaces import CredentialsError
from restante.protocol.secret import Secret
from restante.protocol.server.settings import Identity, ProtocolSettings
from restante.server import demo, embedding, event_log
from restante.server.embedding import Listener
from restante.server.tls.certificate_files import CertificateFiles
from restante.server.tls.certificates import Certificates
from restante.storage.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MemoryServer", "serving"]

HOST = "127.0.0.1"
STOP_TIMEOUT = 1  # seconds for a reply under way, when the block ends


@dataclass(frozen=True, kw_only=True)
class MemoryServer:
    """A running server. Its methods may be called from any thread, while it serves.

    Attributes:
        host: "127.0.0.1".
        port: the port for clear text. With `tls=True` it offers STLS.
        tls_port: the port for TLS from the first octet, None without TLS.
        certificate: a PEM file with which clients can verify TLS, None without TLS.
    """

    host: str
    port: int
    tls_port: int | None
    certificate: Path | None
    _server: embedding.Server = field(repr=False)
    _store: MemoryStore = field(repr=False)
    _authenticator: _PlainPasswords = field(repr=False)
    _log: io.StringIO = field(repr=False)

    def add(self, user: str, password: str, *messages: bytes) -> None:
        """Add the account `user`, or change its `password`, and deliver `messages` to it.

        A message is octets, with line ends LF or CR LF.
        """
        self._authenticator.passwords[user] = Secret(password.encode())
        for message in messages:
            self.deliver(user, message)

    def deliver(self, user: str, message: bytes) -> str:
        """Deliver the octets of `message` to `user`, and return the unique-id.

        Sessions under way do not see it. Line ends may be LF or CR LF: clients get CR LF.
        """
        return self._server.call(self._store.deliver(user, message))

    def messages(self, user: str, *, timeout: float = 10) -> list[bytes]:
        """Return the octets of the messages of `user`, as they were delivered.

        Waits until no session holds the maildrop. Raises `restante.storage.BusyError` after
        `timeout` seconds.
        """
        return self._server.call(_read_all(self._store, user, timeout))

    @property
    def log(self) -> str:
        """The server's log as text. The line for a session comes a moment after its end."""
        return self._log.getvalue()


@contextlib.contextmanager
def serving(
    *, tls: bool = False, settings: ProtocolSettings | None = None
) -> Iterator[MemoryServer]:
    """Give a server that runs while the block runs. At its end all sessions end.

    `tls` adds STLS and a port for TLS, with a certificate for this server alone. `settings` has
    timeouts, the greeting and so on. Raises OSError: no port is free.
    """
    store, authenticator, lines = MemoryStore(), _PlainPasswords(), io.StringIO()
    with contextlib.ExitStack() as stack:
        log, writer = event_log.configure_log("text", lines)
        stack.callback(writer.close)
        certificate, listeners = None, [Listener(HOST, 0)]
        if tls:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="restante-")))
            certificate, key = demo.ensure_certificate(folder)
            known = Certificates([CertificateFiles(certificate, key)])
            listeners = [
                Listener(HOST, 0, certificates=known),
                Listener(HOST, 0, certificates=known, implicit_tls=True),
            ]
        server = embedding.Server(
            store,
            authenticator,
            listeners,
            settings=settings or ProtocolSettings(),
            log=log,
            stop_timeout=STOP_TIMEOUT,
        )
        stack.enter_context(server)
        ports = [address.port for address in server.addresses]
        yield MemoryServer(
            host=HOST,
            port=ports[0],
            tls_port=ports[1] if tls else None,
            certificate=certificate,
            _server=server,
            _store=store,
            _authenticator=authenticator,
            _log=lines,
        )


class _PlainPasswords:
    """An authenticator that keeps passwords unhashed, since a hash would take time."""

    def __init__(self) -> None:
        self.passwords: dict[str, Secret] = {}

    async def verify(self, user: str, password: Secret) -> Identity:
        """Return the identity. Raises CredentialsError."""
        if self.passwords.get(user) != password:
            raise CredentialsError
        return Identity(user)


async def _read_all(store: MemoryStore, user: str, seconds: float) -> list[bytes]:
    maildrop = await store.acquire(user, seconds)
    try:
        return [maildrop.read(index) for index in range(len(maildrop.contents.uids))]
    finally:
        maildrop.release()
