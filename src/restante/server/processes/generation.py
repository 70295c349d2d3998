"""A generation: the workers of one configuration, and all that they share."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from restante.net.addresses import format_own_address
from restante.server.composition import components
from restante.server.listener import ListenError, close_sockets, open_sockets

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from restante.server.config.addresses import ListenAddress
    from restante.server.config.schema import Config
    from restante.server.context import ServerContext
    from restante.server.extra_listener import OpenedListeners
    from restante.server.listener import ListenConfig
    from restante.server.processes.worker import WorkerResources
    from restante.server.system.activation import ActivatedSockets
    from restante.server.tasks.expiry import MailExpiry
    from restante.server.tls.certificates import Certificates

Sockets: TypeAlias = "dict[ListenAddress, list[socket.socket]]"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WorkerGeneration:
    """All that a worker of one configuration inherits, made before it is forked.

    So all workers have the same random keys: they send the same replies to unknown names.
    """

    config: Config
    context: ServerContext
    expiry: MailExpiry | None
    listens: Sequence[ListenConfig]
    sockets: Sockets
    unused_sockets: Sockets  # of addresses that only the generation before listens at
    extra_listeners: OpenedListeners
    certificates: Sequence[Certificates]

    @property
    def removes_mail(self) -> bool:
        """Whether a worker removes old mail, or mail that was kept after its removal."""
        return self.expiry is not None or self.context.keep_deleted is not None

    def addresses(self) -> list[str]:
        """Return the addresses where it listens, in the order of the configuration."""
        opened = (socket for _, sockets in self.listen_sockets() for socket in sockets)
        return [format_own_address(socket) for socket in opened]

    def listen_sockets(self) -> list[tuple[ListenConfig, list[socket.socket]]]:
        """Return the sockets of each address, in that order."""
        return [(listen, self.sockets[listen.address]) for listen in self.listens]


def build_generation(
    config: Config,
    inherited: WorkerResources,
    opened: Sockets,
    extra_listeners: OpenedListeners,
    activated: ActivatedSockets | None = None,
) -> WorkerGeneration:
    """Return the generation of a configuration. Sockets in `opened` are used again.

    Raises ConfigError, ListenError: then no socket was opened.
    """
    log = inherited.log
    observer = inherited.metrics.recorder if inherited.metrics else None
    context = components.build_context(config, log, inherited.shared, observer)
    components.check_store(context.store)
    components.prepare_control(config)
    expiry = components.build_expiry(config, context)
    listens, certificates = components.build_listeners(config, log, inherited.shared)
    sockets = _open(listens, opened, activated)
    return WorkerGeneration(
        config=config,
        context=context,
        expiry=expiry,
        listens=listens,
        sockets=sockets,
        unused_sockets={address: opened[address] for address in opened.keys() - sockets.keys()},
        extra_listeners=extra_listeners,
        certificates=certificates,
    )


def _open(
    listens: Sequence[ListenConfig], opened: Sockets, activated: ActivatedSockets | None
) -> Sockets:
    addresses = Counter(listen.address for listen in listens)
    for address in addresses:
        if addresses[address] > 1:
            what = "the configuration names it twice; omit one of them"
            raise ListenError(f"cannot listen at {address}: {what}")
    added: Sockets = {}
    try:
        for address in addresses:
            if address not in opened:
                added[address] = open_sockets(address, activated)
    except BaseException:
        close_sockets(added)
        raise
    return {address: (opened | added)[address] for address in addresses}
