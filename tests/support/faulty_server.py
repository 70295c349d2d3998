"""The server of `pop3 misbehave` with ann's account and two messages, for the tests of clients."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.misbehave import Fault, find
from restante.misbehave.conversation import Ending, alter, stop_at
from restante.misbehave.driver import FaultyServer, serving
from restante.misbehave.fault import NONE, Surroundings, sum_of
from restante.protocol.server.settings import AuthOffer
from support.authority import GivenContext

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence

    from restante.misbehave.conversation import Alteration, Conversation, ReplyParts

HELLO = b"Subject: Hello\r\nFrom: ann@example.com\r\n\r\nHello, Bob.\r\n"
SECOND = b"Subject: Second\r\n\r\nOne line.\r\n.A dot first.\r\n"

USER = "ann"
PASSWORD = "hunter22"


def offering(*mechanisms: str) -> Fault:
    """Return a server that offers these mechanisms of AUTH beside USER and PASS."""
    around = Surroundings(offer=AuthOffer(mechanisms=frozenset(mechanisms)))
    return Fault(name="other AUTH", sentence="offers other mechanisms", surroundings=around)


SCRAM = offering("SCRAM-SHA-256")


class OctetLimit:
    """A fault of all sessions together: the server stops after a number of octets.

    Attributes:
        left: the octets that it still sends.
    """

    def __init__(self, left: int, ending: Ending = Ending.CLOSE) -> None:
        self.left = left
        self._ending = ending

    def __call__(self, conversation: Conversation) -> Conversation:
        return alter(conversation, reply=self._count)

    def _count(self, reply: ReplyParts) -> ReplyParts:
        before, self.left = self.left, max(0, self.left - len(reply.octets))
        return reply if self.left else stop_at(reply, self._ending, before)


def mail(*messages: bytes) -> Fault:
    """Return a server with these messages, for tables of faults."""
    around = Surroundings(messages=lambda _: messages)
    return Fault(name="other mail", sentence="has other mail", surroundings=around)


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
    fault = sum_of(found)
    served = tls if isinstance(tls, bool) else GivenContext(tls)
    return serving(fault, messages=messages, user=user, password=password, tls=served)


def _fault(given: str | Fault | Alteration) -> Fault:
    if isinstance(given, str):
        return find(given)
    if isinstance(given, Fault):
        return given
    return Fault(name="of a test", sentence="does what a test needs", conversation=given)
