"""Serves faults: the real server on loopback, with the fault, its certificates and some mail.

A server is bounded: `MAX_CONNECTIONS` at once, an hour for a session, five minutes of silence.
"""

from __future__ import annotations

import functools
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Self
from urllib.parse import quote

from restante.auth.interfaces import CredentialsError
from restante.auth.passwords import scram
from restante.misbehave.by_user import MARK, choose_by_user, messages_for
from restante.misbehave.certificates import authority_file, certificates
from restante.misbehave.connection import FaultyConnection, SharedFault
from restante.misbehave.conversation import add
from restante.protocol.secret import Secret
from restante.protocol.server.settings import Identity
from restante.server import embedding
from restante.server.embedding import Listener
from restante.server.limits.server_limits import ServerLimits
from restante.server.log.loggers import SILENT
from restante.storage.errors import FullError
from restante.storage.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from restante.auth.passwords.scram import ScramKeys
    from restante.misbehave.fault import Fault, Messages
    from restante.server.connection.transport import ListenerPolicy
    from restante.server.context import ServerContext
    from restante.server.tls.certificates import Certificates
    from restante.storage.memory import MemoryMaildrop

HOST = "127.0.0.1"
USER = "joe"
PASSWORD = "secret"  # noqa: S105  # publicly known
MAX_CONNECTIONS = 32  # a reply of 20 MB is held for each
MAX_MAILDROPS = 500  # of names that choose a fault
STOP_TIMEOUT = 0.1  # seconds for a reply under way, when a server stops

SAMPLES = tuple(
    b"From: ann@example.com\r\nTo: joe@example.com\r\nSubject: Message %d\r\n"
    b"Message-ID: <%d@example.com>\r\n\r\nBEGIN-%d\r\n%s.A line with a dot first.\r\nEND-%d\r\n"
    % (number, number, number, b"Nothing is wrong with this line.\r\n" * 5, number)
    for number in (1, 2)
)
"""The usual mail: two messages."""


def serving(  # noqa: PLR0913  # one call has all of it
    fault: Fault,
    *,
    messages: Messages = SAMPLES,
    user: str = USER,
    password: str = PASSWORD,
    tls: bool | Certificates = False,
    host: str = HOST,
    ports: tuple[int, int] = (0, 0),
    refill: bool = False,
) -> FaultyServer:
    """Return a server with a fault, which serves while a `with` or `async with` block runs.

    `messages` are what the maildrop of `user` holds, unless the fault says otherwise. The user
    joe+NAME gets another fault beside this one, with mail of its own. `tls` offers STLS, and a port
    for TLS, by these certificates or by some made here; a fault of TLS does so anyway. `ports` are
    for clear text and for TLS, 0 for a free one. With `refill` new mail comes as soon as a client
    has removed all of it. At the block's beginning ListenError is raised if a port is not free.
    """
    mail = fault.surroundings.messages(messages)
    store = FilledStore(lambda name: messages_for(name, user, mail), refill=refill)
    shared = SharedFault(add(fault.conversation, choose_by_user(user)), user)
    if tls is True or (not tls and fault.needs_tls):
        tls = certificates(fault.surroundings.certificate)
    listeners = _listeners(fault, host, ports, shared, tls or None)
    server = embedding.Server(
        store,
        OneAccount(user, password),
        listeners,
        settings=fault.surroundings.settings,
        offer=lambda: fault.surroundings.offer,
        limits=ServerLimits.create(connections=MAX_CONNECTIONS),
        log=SILENT,
        stop_timeout=STOP_TIMEOUT,
    )
    return FaultyServer(fault, store, shared, server, user=user, password=password)


@dataclass(eq=False)
class FaultyServer:
    """A server with a fault. Its properties are those of now; any thread may read them.

    Attributes:
        fault: what is wrong with it.
        host, user, password: 127.0.0.1, and the name and the password of its one account.
    """

    fault: Fault
    store: FilledStore = field(repr=False)
    shared: SharedFault = field(repr=False)
    server: embedding.Server = field(repr=False)
    _: KW_ONLY
    host: str = HOST
    user: str = USER
    password: str = PASSWORD

    @property
    def port(self) -> int:
        """The port for clear text, and for STLS where that is offered."""
        return self.server.addresses[0].port

    @property
    def url(self) -> str:
        """The account as a URL for clear text, and for STLS where that is offered."""
        return f"pop3://{quote(self.user, safe='@')}@{self.host}:{self.port}"

    @property
    def tls_port(self) -> int | None:
        """The port for TLS from the first octet, None without TLS."""
        return self.server.addresses[1].port if len(self.server.addresses) > 1 else None

    @property
    def authority(self) -> Path | None:
        """A PEM file with the authority that clients are to trust, None without TLS."""
        return authority_file() if self.tls_port else None

    @property
    def given(self) -> list[bytes]:
        """The messages that the maildrop has held until now, in their order."""
        return list((self.store.given.get(self.user) or self.store.messages(self.user)).values())

    @property
    def left(self) -> list[bytes]:
        """The messages in the maildrop, as they were given."""
        return list(self.store.messages(self.user).values())

    @property
    def removed(self) -> list[bytes]:
        """The messages that a QUIT has removed."""
        remaining = self.store.messages(self.user)
        delivered = self.store.given.get(self.user, {})
        return [message for uid, message in delivered.items() if uid not in remaining]

    @property
    def commands(self) -> list[str]:
        """The lines that clients sent, in the order of their arrival, passwords included."""
        return list(self.shared.record.commands)

    @property
    def leaked(self) -> bool:
        """Whether a password or a token came in clear text."""
        return self.shared.record.leaked

    def __enter__(self) -> Self:
        self.server.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.__exit__(*_)

    async def __aenter__(self) -> Self:
        await self.server.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.server.stop()


class FilledStore(MemoryStore):
    """A store that has mail for a user when that user first logs in.

    `fill` returns the mail for a user. With `refill` it is asked again when none is left. A store
    has `most` maildrops.
    """

    def __init__(
        self,
        fill: Callable[[str], Messages],
        *,
        refill: bool = False,
        most: int = MAX_MAILDROPS,
    ) -> None:
        super().__init__()
        self._most = most
        self._fill = fill
        self._refill = refill
        self.given: dict[str, dict[str, bytes]] = {}  # by user and unique-id

    async def acquire(self, owner: str, patience: float) -> MemoryMaildrop:
        """Lock and open a user's maildrop. Raises BusyError, FullError."""
        if owner not in self.given and len(self.given) >= self._most:
            raise FullError(f"a server has at most {self._most} maildrops")
        if owner not in self.given or (self._refill and not super().messages(owner)):
            message_by_uid = self.given.setdefault(owner, {})
            for message in self._fill(owner):
                message_by_uid[await self.deliver(owner, message)] = message
        return await super().acquire(owner, patience)

    def messages(self, owner: str) -> dict[str, bytes]:
        """Return a copy of a user's messages by unique-id, also before the first login."""
        if owner in self.given:
            return super().messages(owner)
        return {str(place): message for place, message in enumerate(self._fill(owner))}


class OneAccount:
    """One account, with all that any mechanism may ask of it."""

    longest_login_delay = None
    shortest_expire_days = None

    def __init__(self, user: str, password: str) -> None:
        self._user = user
        self._password = Secret(password.encode())

    async def verify(self, user: str, password: Secret) -> Identity:
        """Return the identity. Raises CredentialsError."""
        if password != self._password:
            raise CredentialsError
        return await self.identify(user)

    async def identify(self, user: str) -> Identity:
        """Return the identity of a name, which may have a fault. Raises CredentialsError."""
        if user != self._user and not user.startswith(self._user + MARK):
            raise CredentialsError
        return Identity(user)

    async def shared_secret(self, user: str) -> Secret:
        """Return the password. Raises CredentialsError."""
        await self.identify(user)
        return self._password

    async def scram_keys(self, mechanism: str, user: str) -> ScramKeys:  # noqa: ARG002  # the login fails later
        """Return the keys of the password."""
        return _keys(mechanism.removesuffix("-PLUS"), self._password.reveal())


@functools.cache
def _keys(mechanism: str, password: bytes) -> ScramKeys:
    return scram.create_keys(mechanism, Secret(password), iterations=scram.MIN_ITERATIONS)


def _listeners(
    fault: Fault,
    host: str,
    ports: tuple[int, int],
    shared: SharedFault,
    tls: Certificates | None,
) -> list[Listener]:
    """Return the listener for clear text, and the one for TLS if there are certificates."""

    def connect(context: ServerContext, policy: ListenerPolicy) -> FaultyConnection:
        return FaultyConnection(shared, context, policy)

    swapped = fault.surroundings.swapped
    plain = Listener(host, ports[0], certificates=tls, implicit_tls=swapped, connection=connect)
    if tls is None:
        return [plain]
    plain_tls = None if swapped else tls
    wrapped = Listener(
        host, ports[1], certificates=plain_tls, implicit_tls=not swapped, connection=connect
    )
    return [plain, wrapped]
