r"""A POP3 server with one thing wrong: for the authors of clients, and for Restante's own tests.

It is the real server. A fault is a function from conversation to conversation, so everything but
the fault is right, and faults add up: `a+b`.

`conversation` has a session in parts, with no I/O, and `effects` what it asks of a driver. `fault`
is the form of a fault, `rules` the language of one-line faults, `catalogue` the faults with a name
(made of `changes` of a reply), and `profiles` sums of them that behave like a known server.
`finding` has FAULTS and `find`, and `by_user` reads a fault from the name of a user. `smtp` has
faults of SMTP, for `restante.developer`. `driver` serves a fault, `connection` is its part for one
client, and `certificates` makes those that are wrong. `score` runs a client at each fault.

    with serving(find("retr-cut"), messages=[b"Subject: a\r\n\r\nb\r\n"]) as server:
        ...  # a client logs in as joe with the password secret at server.host, server.port
    print(server.left, server.removed, server.commands)

Nothing of `pop3 serve` imports this package, and a configuration file cannot switch a fault on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.lazy_names import make_loader

if TYPE_CHECKING:
    from restante.misbehave.fault import Fault, GoodClient
    from restante.misbehave.finding import FAULTS, find

__all__ = ["FAULTS", "Fault", "GoodClient", "find"]

_MODULES = {
    "FAULTS": "restante.misbehave.finding",
    "Fault": "restante.misbehave.fault",
    "GoodClient": "restante.misbehave.fault",
    "find": "restante.misbehave.finding",
}

if not TYPE_CHECKING:  # with `__getattr__`, a type checker accepts any name
    __getattr__, __dir__ = make_loader(__name__, _MODULES)
