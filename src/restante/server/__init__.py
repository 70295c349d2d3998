"""The server: an asyncio driver for the protocol, its configuration and its log.

A program embeds it with `Server`, from `embedding`, whose `lifecycle` is a block. For `pop3 serve`,
`app` runs a whole server, in one process or in the `processes` of several workers. `components`
builds its parts from a `config`, `backends` the mail store and the accounts: the `context` that all
connections share, the `listener`, and `extra_listener` for delivery, at `unix_sockets`.
`config_check` tries them for `pop3 config check`. `registry` knows the live connections, and stops
them; `deadlines` and `client_bounds` are theirs. `connection` is one client, `tls` its encryption,
`limits` what holds for all clients together, `event_log` the log, where `session_ids` tie events
and `removal_log` has removed messages. `background`, `expiry`, `deleted_sweep` and `upkeep` run by
the clock, and so does `peers`, which lets the nodes of a cluster know of each other. Through
`control`, an administrator sees and ends sessions; `account_watch` ends those of locked accounts,
and `holders` finds the one that has a maildrop.

Always: a client never sees an exception's text. Whatever a peer, a disk or another program does,
time, memory, threads and log are bounded: docs/reference/bounds.md.

API: the names in `__all__`, each loaded when it is first used. The modules are not API.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.lazy_names import make_loader

if TYPE_CHECKING:
    from restante.delivery.recipients import Recipients
    from restante.protocol.server.settings import AuthOffer, ProtocolSettings
    from restante.server.addresses import ListenAddress
    from restante.server.embedding import Listener, Server
    from restante.server.limits.server_limits import ServerLimits
    from restante.server.listener import ListenError
    from restante.server.tls.certificate_files import CertificateError, CertificateFiles
    from restante.server.tls.certificates import Certificates

__all__ = [
    "AuthOffer",
    "CertificateError",
    "CertificateFiles",
    "Certificates",
    "ListenAddress",
    "ListenError",
    "Listener",
    "ProtocolSettings",
    "Recipients",
    "Server",
    "ServerLimits",
]

_MODULES = {
    "AuthOffer": "restante.protocol.server.settings",
    "CertificateError": "restante.server.tls.certificate_files",
    "CertificateFiles": "restante.server.tls.certificate_files",
    "Certificates": "restante.server.tls.certificates",
    "ListenAddress": "restante.server.addresses",
    "ListenError": "restante.server.listener",
    "Listener": "restante.server.embedding",
    "ProtocolSettings": "restante.protocol.server.settings",
    "Recipients": "restante.delivery.recipients",
    "Server": "restante.server.embedding",
    "ServerLimits": "restante.server.limits.server_limits",
}


__getattr__ = make_loader(__name__, _MODULES)


def __dir__() -> list[str]:
    """Return all names, loaded or not."""
    return sorted({*globals(), *__all__})
