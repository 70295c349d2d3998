"""What the workers of one configuration have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from restante.server import build
from restante.server.listener import open_sockets

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping, Sequence

    from structlog.typing import FilteringBoundLogger

    from restante.server.address import Address
    from restante.server.certificates import Certificates
    from restante.server.companion import Companion
    from restante.server.expiry import Expiry
    from restante.server.listener import Listen
    from restante.server.sections import Config
    from restante.server.service import Service
    from restante.server.shared_limits import Shared

Sockets: TypeAlias = "dict[Address, list[socket.socket]]"
Companions: TypeAlias = "Sequence[tuple[Companion, Sequence[socket.socket]]]"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Crew:
    """All that a worker inherits, made before it is forked.

    So each of them knows the same keys of chance: to answer for a name that is none as another
    worker did, for one.
    """

    config: Config
    service: Service
    expiry: Expiry | None
    listens: Sequence[Listen]
    sockets: Sockets
    foreign: Sockets  # of the crew before, which listened elsewhere too
    companions: Companions
    certificates: Sequence[Certificates]

    def addresses(self) -> list[str]:
        """Return where it listens, in the order of the configuration."""
        opened = (socket for listen in self.listens for socket in self.sockets[listen.address])
        return [written(socket.getsockname()) for socket in opened]


def gather(
    config: Config,
    log: FilteringBoundLogger,
    shared: Shared,
    opened: Sockets,
    companions: Companions,
) -> Crew:
    """Return what workers of this configuration have; addresses in `opened` stay open.

    Raises ConfigError, ListenError: then nothing has changed.
    """
    service = build.service(config, log, shared)
    expiry = build.expiry(config, service)
    listens, certificates = build.listens(config, log)
    sockets = _open(listens, opened)
    return Crew(
        config=config,
        service=service,
        expiry=expiry,
        listens=listens,
        sockets=sockets,
        foreign={address: opened[address] for address in opened.keys() - sockets.keys()},
        companions=companions,
        certificates=certificates,
    )


def close(sockets: Mapping[Address, Sequence[socket.socket]]) -> None:
    """Close the sockets of these addresses."""
    for several in sockets.values():
        for one in several:
            one.close()


def written(name: tuple[str, int]) -> str:
    """Return the name of a socket as people write it."""
    host, port = name[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _open(listens: Sequence[Listen], opened: Sockets) -> Sockets:
    added: Sockets = {}
    try:
        for address in {listen.address: None for listen in listens}:
            if address not in opened:
                added[address] = open_sockets(address)
    except BaseException:
        close(added)
        raise
    return {listen.address: (opened | added)[listen.address] for listen in listens}
