"""A POP3 server of Twisted's own parts, over its Maildir code: twisted_pop3.py PORT FOLDER.

It runs in an environment of its own (twisted.txt). A user's Maildir is FOLDER/NAME. The password is
compared as it is, without a hash, so its logins cost nothing.
"""

from __future__ import annotations

import os
import sys
from typing import IO

from twisted.cred import checkers, portal
from twisted.internet import protocol, reactor
from twisted.mail import maildir, pop3
from zope.interface import implementer


class Mailbox(maildir.MaildirMailbox):
    """Twisted's Maildir, which has text where only octets can be sent."""

    def getMessage(self, i: int) -> IO[bytes]:
        return open(self.list[i], "rb")

    def getUidl(self, i: int) -> bytes:
        octets: bytes = super().getUidl(i).encode()
        return octets


@implementer(portal.IRealm)
class Realm:
    """Gives a user the Maildir of that name."""

    def __init__(self, folder: str) -> None:
        self._folder = folder.encode()

    def requestAvatar(self, name: bytes, _: object, *interfaces: object) -> tuple[object, ...]:
        return pop3.IMailbox, Mailbox(os.path.join(self._folder, name)), lambda: None


def main(port: str, folder: str) -> None:
    """Serve until SIGTERM."""
    known = checkers.InMemoryUsernamePasswordDatabaseDontUse()
    for name in os.listdir(folder):
        known.addUser(name.encode(), b"secret")
    factory = protocol.ServerFactory()
    entrance = portal.Portal(Realm(folder), [known])

    def build(_: object) -> pop3.POP3:
        session = pop3.POP3()
        session.factory, session.portal = factory, entrance
        return session

    factory.buildProtocol = build
    reactor.listenTCP(int(port), factory, interface="127.0.0.1", backlog=1024)
    reactor.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
