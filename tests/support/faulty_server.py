"""The server of `pop3 misbehave` with ann's account and two messages, for the tests of clients."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.misbehave import Fault, find
from restante.misbehave.driver import FaultyServer, serving
from restante.misbehave.fault import NONE, sum_of
from support.authority import GivenContext

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence

    from restante.misbehave.conversation import Alteration

HELLO = b"Subject: Hello\r\nFrom: ann@example.com\r\n\r\nHello, Bob.\r\n"
SECOND = b"Subject: Second\r\n\r\nOne line.\r\n.A dot first.\r\n"

USER = "ann"
PASSWORD = "hunter22"


def faulty_server(
    *faults: str | Fault | Alteration,
    messages: Sequence[bytes] = (HELLO, SECOND),
    user: str = USER,
    password: str = PASSWORD,
    tls: bool | ssl.SSLContext = False,
) -> FaultyServer:
    """Return a server with faults, which serves while a `with` block runs.

    A fault is a name of the catalogue, a rule, or what only one test needs: a function from
    conversation to conversation. The last one is next to the server. `tls` may be the settings.
    """
    found = [_fault(each) for each in faults] or [NONE]
    fault = sum_of(" + ".join(each.name for each in found), found)
    served = tls if isinstance(tls, bool) else GivenContext(tls)
    return serving(fault, messages=messages, user=user, password=password, tls=served)


def _fault(given: str | Fault | Alteration) -> Fault:
    if isinstance(given, str):
        return find(given)
    if isinstance(given, Fault):
        return given
    return Fault(name="of a test", sentence="does what a test needs", conversation=given)
