"""A server that does nothing but TLS, as Restante does it: bare_tls.py PORT FOLDER.

It says hello to each client and keeps it. What a connection costs here is OpenSSL's own.
"""

from __future__ import annotations

import selectors
import socket
import ssl
import sys
from pathlib import Path

from restante.server.tls.certificate_files import CertificateFiles
from restante.server.tls.certificates import Certificates


class Client:
    """A connection, with TLS on memory buffers."""

    __slots__ = ("_greeted", "_in", "_out", "_socket", "_tls")

    def __init__(self, connected: socket.socket, context: ssl.SSLContext) -> None:
        self._socket, self._greeted = connected, False
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_side=True)

    def go_on(self) -> bool:
        """Take what came and answer it; return False when the client has left."""
        octets = self._socket.recv(65536)
        if not octets:
            self._socket.close()
            return False
        self._in.write(octets)
        try:
            self._tls.do_handshake()
            if not self._greeted:
                self._greeted = bool(self._tls.write(b"+OK\r\n"))
        except ssl.SSLWantReadError:
            pass
        self._socket.sendall(self._out.read())
        return True


def main(port: str, folder: str) -> None:
    """Serve until SIGTERM."""
    pair = CertificateFiles(Path(folder) / "certificate.pem", Path(folder) / "key.pem")
    context = Certificates([pair]).context()
    listener = socket.create_server(("127.0.0.1", int(port)), backlog=1024)
    watch = selectors.DefaultSelector()
    watch.register(listener, selectors.EVENT_READ)
    while True:
        for key, _ in watch.select():
            if key.data is None:
                connected, _ = listener.accept()
                client = Client(connected, context)
                watch.register(connected, selectors.EVENT_READ, client)
            elif not key.data.go_on():
                watch.unregister(key.fileobj)


if __name__ == "__main__":
    main(*sys.argv[1:])
