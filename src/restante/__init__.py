"""Restante: a POP3 server, a toolbox, and the library that both are built on.

    async with restante.connect("pop3s://ann@example.com", password="...") as drop: ...
    with restante.blocking.connect("pop3s://ann@example.com", password="...") as box: ...
    report = restante.check("ann@example.com", password="...")

The protocol is in `protocol`, with no I/O. The server: `server`, `auth`, `storage` and `delivery`.
The toolbox: `cli` on `client`, `diagnosis`, `conformance`, `fetch` and `oauth`. For developers:
`testing` with its `pytest_plugin`, `developer` with its page in `web`, and `misbehave`. Shared:
`mail`, `net`, `input_files`, `file_kinds`, `json_input`, `toml_input`, `durable_folders`,
`system_errors`, `user_commands`, `quota`, `junk`, `threads`, `idle_connections`, `near_names`,
`postgresql_hosts` and `lazy_names`. An upper layer imports a lower one, never the reverse:
CONTRIBUTING.md.

The API is what `docs/reference/api.md` lists: the names in `__all__` here and in `blocking`,
`testing`, `server`, `storage`, `auth` and `oauth`, and the types that they name. All other modules
are not API: any version may change them.

`import restante` loads nothing else; each name is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from restante import blocking
    from restante.client.aio import Maildrop, Message, connect
    from restante.client.discovery.lookup import OtherDomainError
    from restante.client.messages import SizeWarning
    from restante.client.options import Options, Target
    from restante.client.token_source import TokenSource
    from restante.diagnosis.report import Report
    from restante.diagnosis.run import check
    from restante.protocol.errors import (
        BadCommand,
        ConnectionLostError,
        LineTooLong,
        LocalError,
        MalformedReplyError,
        MechanismRefusedError,
        Phase,
        Pop3Error,
        Refusal,
        RemoteError,
        ReplyTimeoutError,
        SecurityError,
        ServerRefusedError,
        ServerUnreachableError,
        TlsRequired,
        TruncatedReplyError,
        Utf8Required,
    )

__version__ = "0.1.0"

__all__ = [
    "BadCommand",
    "ConnectionLostError",
    "LineTooLong",
    "LocalError",
    "Maildrop",
    "MalformedReplyError",
    "MechanismRefusedError",
    "Message",
    "Options",
    "OtherDomainError",
    "Phase",
    "Pop3Error",
    "Refusal",
    "RemoteError",
    "ReplyTimeoutError",
    "Report",
    "SecurityError",
    "ServerRefusedError",
    "ServerUnreachableError",
    "SizeWarning",
    "Target",
    "TlsRequired",
    "TokenSource",
    "TruncatedReplyError",
    "Utf8Required",
    "__version__",
    "blocking",
    "check",
    "connect",
]

_MODULES = {
    "Maildrop": "restante.client.aio",
    "Message": "restante.client.aio",
    "Options": "restante.client.options",
    "OtherDomainError": "restante.client.discovery.lookup",
    "Report": "restante.diagnosis.report",
    "SizeWarning": "restante.client.messages",
    "Target": "restante.client.options",
    "TokenSource": "restante.client.token_source",
    "check": "restante.diagnosis.run",
    "connect": "restante.client.aio",
}  # the other errors are in restante.protocol.errors


def _load(name: str) -> object:
    """Load a name of `__all__` when it is first used. Raises AttributeError."""
    import importlib

    if name not in __all__:
        raise AttributeError(f"module 'restante' has no attribute '{name}'")
    if name == "blocking":
        return importlib.import_module("restante.blocking")
    value = getattr(importlib.import_module(_MODULES.get(name, "restante.protocol.errors")), name)
    globals()[name] = value
    return value


if not TYPE_CHECKING:  # with `__getattr__`, a type checker accepts any name
    __getattr__ = _load


def __dir__() -> list[str]:
    """Return all names, loaded or not."""
    return sorted({*globals(), *__all__})
