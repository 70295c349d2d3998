"""The server: an asyncio driver for the protocol, its configuration and its log.

A program embeds it with `Server`, from `embedding`, whose `lifecycle` is a block. For `pop3 serve`,
`app` runs a whole server, in one process or in the `processes` of several workers. `composition`
builds its parts from a `config`: the `context` that all connections share, the `listener`, and
`extra_listener` for delivery and the `auth_socket`. `config_check` tries them for `pop3 config
check`. `registry` knows the live connections, and stops them; `deadlines` are theirs. `connection`
is one client, `tls` its encryption, and `limits` what holds for all clients together.
`error_replies` is the one place where errors become replies, `policies` the choices of an
administrator. `log` writes the events, which an `observer` sees, too: the `metrics`. `tasks` are
repeated by the clock. Through `control`, an administrator sees and ends sessions. `system` is what
a process gets from the system, and `demo` the account of the demo.

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
    from restante.server.config.addresses import ListenAddress
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
    "ListenAddress": "restante.server.config.addresses",
    "ListenError": "restante.server.listener",
    "Listener": "restante.server.embedding",
    "ProtocolSettings": "restante.protocol.server.settings",
    "Recipients": "restante.delivery.recipients",
    "Server": "restante.server.embedding",
    "ServerLimits": "restante.server.limits.server_limits",
}

if not TYPE_CHECKING:  # with `__getattr__`, a type checker accepts any name
    __getattr__, __dir__ = make_loader(__name__, _MODULES)
