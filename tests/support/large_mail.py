"""A POP3 server with one message of any size, which it never holds whole."""

from __future__ import annotations

import contextlib
import socketserver
import threading
from collections.abc import Iterator
from typing import ClassVar

HEAD = b"From: ann@example.com\r\nSubject: large\r\nMessage-ID: <large@example.com>\r\n\r\n"
LINE = b"UE9QMyBicmluZ3MgaXQgaG9tZSBhZ2Fpbi4gUE9QMyBicmluZ3MgaXQgaG9tZSBhZ2Fpbi4gUE9Q\r\n"
PIECE = LINE * 800
CAPABILITIES = b"+OK\r\nUSER\r\nUIDL\r\nPIPELINING\r\n.\r\n"


def octets(pieces: int) -> int:
    """Return the size of the message with this number of pieces."""
    return len(HEAD) + pieces * len(PIECE)


class Handler(socketserver.StreamRequestHandler):
    """Answers any user: each has the one message."""

    pieces: ClassVar[int]

    def handle(self) -> None:
        self.wfile.write(b"+OK ready\r\n")
        while line := self.rfile.readline():
            match line.split()[0].upper():
                case b"CAPA":
                    self.wfile.write(CAPABILITIES)
                case b"LIST":
                    self.wfile.write(b"+OK\r\n1 %d\r\n.\r\n" % octets(self.pieces))
                case b"UIDL":
                    self.wfile.write(b"+OK\r\n1 large\r\n.\r\n")
                case b"RETR":
                    self.wfile.write(b"+OK\r\n" + HEAD)
                    for _ in range(self.pieces):
                        self.wfile.write(PIECE)
                    self.wfile.write(b".\r\n")
                case _:
                    self.wfile.write(b"+OK\r\n")


@contextlib.contextmanager
def serving(pieces: int) -> Iterator[int]:
    """Serve a message of this number of pieces while the block runs, and return the port."""
    handler = type("OneMessage", (Handler,), {"pieces": pieces})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
