"""What the workers of one configuration have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from restante.net.addresses import format_host_port
from restante.server import components
from restante.server.listener import open_sockets

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping, Sequence

    from structlog.typing import FilteringBoundLogger

    from restante.server.addresses import ListenAddress
    from restante.server.config.schema import Config
    from restante.server.context import ServerContext
    from restante.server.expiry import MailExpiry
    from restante.server.extra_listener import ExtraListener
    from restante.server.limits.shared_limits import Shared
    from restante.server.listener import ListenConfig
    from restante.server.tls.certificates import Certificates

Sockets: TypeAlias = "dict[ListenAddress, list[socket.socket]]"
Companions: TypeAlias = "Sequence[tuple[ExtraListener, Sequence[socket.socket]]]"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WorkerGeneration:
    """All that a worker inherits, made before it is forked.

    So all of them have the same random keys, for example for the same replies to unknown names as
    another worker.
    """

    config: Config
    service: ServerContext
    expiry: MailExpiry | None
    listens: Sequence[ListenConfig]
    sockets: Sockets
    foreign: Sockets  # of the crew before, which listened elsewhere too
    companions: Companions
    certificates: Sequence[Certificates]

    def addresses(self) -> list[str]:
        """Return where it listens, in the order of the configuration."""
        opened = (socket for listen in self.listens for socket in self.sockets[listen.address])
        return [format_host_port(*socket.getsockname()[:2]) for socket in opened]


def build_generation(
    config: Config,
    log: FilteringBoundLogger,
    shared: Shared,
    opened: Sockets,
    companions: Companions,
) -> WorkerGeneration:
    """Return what workers of this configuration have; addresses in `opened` stay open.

    Raises ConfigError, ListenError: then nothing has changed.
    """
    service = components.build_context(config, log, shared)
    expiry = components.build_expiry(config, service)
    listens, certificates = components.build_listeners(config, log)
    sockets = _open(listens, opened)
    return WorkerGeneration(
        config=config,
        service=service,
        expiry=expiry,
        listens=listens,
        sockets=sockets,
        foreign={address: opened[address] for address in opened.keys() - sockets.keys()},
        companions=companions,
        certificates=certificates,
    )


def close(sockets: Mapping[ListenAddress, Sequence[socket.socket]]) -> None:
    """Close the sockets of these addresses."""
    for several in sockets.values():
        for one in several:
            one.close()


def _open(listens: Sequence[ListenConfig], opened: Sockets) -> Sockets:
    added: Sockets = {}
    try:
        for address in {listen.address: None for listen in listens}:
            if address not in opened:
                added[address] = open_sockets(address)
    except BaseException:
        close(added)
        raise
    return {listen.address: (opened | added)[listen.address] for listen in listens}
