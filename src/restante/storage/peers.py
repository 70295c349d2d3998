"""The interfaces of a store over which the nodes of a cluster let each other know what happens.

A node is a process that serves: a worker of a server, or its only process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence


class PeerRequest(NamedTuple):
    """A request of another node.

    Attributes:
        id: what an answer names.
        content: the request, for the store only octets.
        age: seconds since it was made.
    """

    id: str
    content: bytes
    age: float


class PeerNews(NamedTuple):
    """The notes of the nodes of a cluster. Ages are in seconds.

    Attributes:
        key: the key of the digests, the same at all nodes.
        failures: a digest of an address and a name, the number of their failed logins at all nodes,
            and the age of the last one. A number of 0 says that they have logged in since.
        kicks: by owner, how long ago the sessions of that owner should have ended.
        requests: of other nodes, each once.
        revoked: the digests of app passwords that were revoked a short while ago.
        locked: names that were locked a short while ago, as `auth.usernames.lock_key` has them.
    """

    key: bytes
    failures: Sequence[tuple[bytes, int, float]]
    kicks: Mapping[str, float]
    requests: Sequence[PeerRequest] = ()
    revoked: frozenset[str] = frozenset()
    locked: frozenset[str] = frozenset()


class PeerNode(NamedTuple):
    """A node, as the others know it.

    Attributes:
        id: its random name, which changes when it was silent for too long.
        name: the name of its machine.
        process: its process id there.
        alive: it said so in time.
        seen: seconds since it last said so.
    """

    id: str
    name: str
    process: int
    alive: bool
    seen: float


class PeerLease(NamedTuple):
    """The lease of a maildrop, as the others know it.

    Attributes:
        node: the name of the machine whose session has it.
        since: when the session got it, in seconds since 1970.
    """

    node: str
    since: float


class PeerAnswers(NamedTuple):
    """The answers of other nodes.

    Attributes:
        received: the answers.
        silent: the nodes that did not answer in time.
    """

    received: Sequence[bytes]
    silent: Sequence[PeerNode]


@runtime_checkable
class HasPeers(Protocol):
    """A store over which the nodes of a cluster let each other know what happens."""

    async def share(self, failures: Mapping[bytes, int]) -> PeerNews:
        """Add failed logins to those of all nodes, and return what is new since the last call.

        `failures` has their numbers by digest; 0 clears those of a digest. Raises StoreError:
        nothing of `failures` may have got there.
        """


@runtime_checkable
class AsksPeers(Protocol):
    """A store that carries requests to other nodes, which see them at their next `share`."""

    @property
    def node(self) -> str:
        """The random name of this node, "" before its first `share`."""

    async def list_nodes(self) -> Sequence[PeerNode]:
        """Return the nodes that serve, and those of machines where none does any more.

        Raises StoreError.
        """

    async def send_request(self, content: bytes) -> None:
        """Make a request to all other nodes that is not answered. Raises StoreError."""

    async def ask_nodes(
        self, content: bytes, but: Collection[str], patience: float, *, first: bool = False
    ) -> PeerAnswers:
        """Ask all other nodes but some of them, and wait for `patience` seconds at most.

        `first`: the first answer is enough. Raises StoreError.
        """

    async def find_lease(self, owner: str) -> PeerLease | None:
        """Return which node has the lease of a maildrop, if it is known. Raises StoreError."""

    async def answer_request(self, request: str, content: bytes) -> None:
        """Answer a request by its id. Raises StoreError."""


@runtime_checkable
class FreesLeases(Protocol):
    """A store of several nodes, each of which holds leases."""

    async def free_unused_lease(self, owner: str) -> None:
        """Free the lease of a maildrop if no session of this node has it. Raises StoreError."""


@runtime_checkable
class KicksUsers(Protocol):
    """A store of several nodes, which can end a user's sessions at all of them."""

    async def kick(self, owner: str) -> None:
        """End the sessions of an owner, within two seconds. Raises StoreError."""
