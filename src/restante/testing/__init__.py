r"""POP3 and SMTP servers for the tests of programs that fetch or send mail.

    with restante.testing.serving() as server:
        ann = server.account("ann@example.com")
        ann.deliver("Subject: a\n\nhello\n")
        ...  # the program under test fetches from ann.host, ann.port as ann.user with ann.password
        assert ann.messages == []

        ...  # the program under test sends to server.host, server.smtp_port
        mail = server.wait(to="new@shop.example", subject="Welcome")

It is the server that `pop3 serve` runs, in memory, in a thread with an event loop of its own, on
free ports of loopback. It starts within about a millisecond, so each test can have a server of its
own. For pytest there are fixtures: docs/reference/pytest.md.

`server` starts it, `account` is one account of it, `received` is mail as tests get it back,
`waiting` waits for mail, and `authority` signs the certificates. The modules are not API.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.lazy_names import make_loader

if TYPE_CHECKING:
    from restante.developer.sessions import SessionCopy, TranscriptLine
    from restante.testing.account import MemoryAccount
    from restante.testing.authority import TrustedAuthority
    from restante.testing.received import ReceivedMessage
    from restante.testing.server import MemoryServer, serving
    from restante.testing.waiting import NoMailError, UnexpectedMailError

__all__ = [
    "MemoryAccount",
    "MemoryServer",
    "NoMailError",
    "ReceivedMessage",
    "SessionCopy",
    "TranscriptLine",
    "TrustedAuthority",
    "UnexpectedMailError",
    "serving",
]

_MODULES = {
    "MemoryAccount": "restante.testing.account",
    "MemoryServer": "restante.testing.server",
    "NoMailError": "restante.testing.waiting",
    "ReceivedMessage": "restante.testing.received",
    "SessionCopy": "restante.developer.sessions",
    "TranscriptLine": "restante.developer.sessions",
    "TrustedAuthority": "restante.testing.authority",
    "UnexpectedMailError": "restante.testing.waiting",
    "serving": "restante.testing.server",
}

if not TYPE_CHECKING:  # with `__getattr__`, a type checker accepts any name
    __getattr__, __dir__ = make_loader(__name__, _MODULES)
