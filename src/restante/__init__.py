"""Restante: POP3, the server, the toolbox and the library they stand on.

    async with restante.connect("pop3s://ann@example.com", password="...") as drop: ...
    with restante.blocking.connect("pop3s://ann@example.com", password="...") as box: ...
    report = restante.check("ann@example.com", password="...")

`import restante` and `import restante.protocol` load nothing outside the standard library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from restante import blocking as blocking
    from restante.client.aio import connect as connect
    from restante.diagnosis.run import check as check

__version__ = "0.1.0"

_LATE = {"connect": "restante.client.aio", "check": "restante.diagnosis.run"}


def __getattr__(name: str) -> object:
    """Load a function, or the module `blocking`, when it is first asked for."""
    import importlib

    if name in _LATE:
        return getattr(importlib.import_module(_LATE[name]), name)
    if name == "blocking":
        return importlib.import_module("restante.blocking")
    raise AttributeError(f"module 'restante' has no attribute '{name}'")


def __dir__() -> list[str]:
    """Return the names there are, loaded or not."""
    return sorted({*globals(), *_LATE, "blocking"})
