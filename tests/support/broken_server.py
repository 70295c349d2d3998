"""A POP3 server of a few lines that does one thing wrong, told in a dict of replies by command."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

SILENCE = b"(silence)"
CLOSE = b"(close)"
RESET = b"(reset)"

HELLO = b"Subject: Hello\r\nFrom: ann@example.com\r\n\r\nHello, Bob.\r\n"
SECOND = b"Subject: Second\r\n\r\nOne line.\r\n.A dot first.\r\n"

Reply: TypeAlias = bytes | Callable[[str], bytes]

CAPA = b"+OK\r\nTOP\r\nUIDL\r\nUSER\r\nRESP-CODES\r\n.\r\n"
CAPA_STLS = b"+OK\r\nTOP\r\nUIDL\r\nUSER\r\nSTLS\r\n.\r\n"


@dataclass
class Broken:
    """A server that runs, and the lines that it received.

    A reply SILENCE says nothing for ever; after one that ends with CLOSE or RESET it hangs up.
    """

    replies: Mapping[str, Reply]
    greeting: bytes = b"+OK ready\r\n"
    messages: Sequence[bytes] = (HELLO, SECOND)
    implicit: ssl.SSLContext | None = None
    stls: ssl.SSLContext | None = None
    port: int = 0
    budget: int | None = None  # octets after which it stops in the middle of whatever it says
    at_end: bytes = CLOSE
    heard: list[str] = field(default_factory=list)
    deleted: set[int] = field(default_factory=set)
    over: threading.Event = field(default_factory=threading.Event)

    def hold(self, sock: socket.socket) -> None:
        """Hold one session."""
        sock.settimeout(20)
        try:
            if self.implicit is not None:
                sock = self.implicit.wrap_socket(sock, server_side=True)
            self._talk(sock)
        except (OSError, ssl.SSLError):
            pass
        finally:
            sock.close()

    def _talk(self, sock: socket.socket) -> None:
        if not self._say(sock, self.greeting):
            return
        self._listen(sock, set())

    def _talk_tls(self, sock: ssl.SSLSocket, marked: set[int]) -> None:
        with sock:
            self._listen(sock, marked)

    def _listen(self, sock: socket.socket, marked: set[int]) -> None:
        with contextlib.closing(sock.makefile("rb")) as file:
            while octets := file.readline():
                line = octets.decode("latin-1").rstrip("\r\n")
                self.heard.append(line)
                verb = line.split(" ")[0].upper()
                reply = self._reply(line, verb, marked)
                if not self._say(sock, reply):
                    return
                if verb == "STLS" and reply.startswith(b"+OK") and self.stls:
                    self._talk_tls(self.stls.wrap_socket(sock, server_side=True), marked)
                    return
                if verb == "QUIT":
                    self.deleted |= marked
                    return

    def _say(self, sock: socket.socket, reply: bytes) -> bool:
        if self.budget is not None:
            if len(reply) >= self.budget:
                reply = reply[: self.budget] + self.at_end
            self.budget -= len(reply)
        if reply == SILENCE:
            self.over.wait(20)
            return False
        for ending in (CLOSE, RESET):
            if reply.endswith(ending):
                sock.sendall(reply.removesuffix(ending))
                if ending == RESET:
                    linger = struct.pack("ii", 1, 0)
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                return False
        if reply.endswith(SILENCE):
            sock.sendall(reply.removesuffix(SILENCE))
            self.over.wait(20)
            return False
        sock.sendall(reply)
        return True

    def _reply(self, line: str, verb: str, marked: set[int]) -> bytes:
        reply = self.replies.get(line, self.replies.get(verb))
        if callable(reply):
            return reply(line)
        if reply is not None:
            return reply
        return self._right(line, verb, marked)

    def _right(self, line: str, verb: str, marked: set[int]) -> bytes:
        words = line.split(" ")
        sizes = [len(m) for m in self.messages]
        match verb:
            case "CAPA":
                return CAPA_STLS if self.stls else CAPA
            case "STAT":
                return f"+OK {len(sizes)} {sum(sizes)}\r\n".encode()
            case "LIST":
                return _table(sizes)
            case "UIDL":
                return _table([f"uid{n}" for n in range(1, len(sizes) + 1)])
            case "RETR":
                return b"+OK\r\n" + _stuffed(self.messages[int(words[1]) - 1])
            case "TOP":
                head = self.messages[int(words[1]) - 1].split(b"\r\n\r\n")[0]
                return b"+OK\r\n" + _stuffed(head + b"\r\n\r\n")
            case "DELE":
                marked.add(int(words[1]))
                return b"+OK\r\n"
            case "RSET":
                marked.clear()
                return b"+OK\r\n"
            case "STLS" if self.stls is None:
                return b"-ERR no TLS here\r\n"
            case "USER" | "PASS" | "NOOP" | "QUIT" | "STLS":
                return b"+OK\r\n"
        return b"-ERR unknown command\r\n"


def _table(values: Sequence[object]) -> bytes:
    lines = "".join(f"{n} {value}\r\n" for n, value in enumerate(values, 1))
    return f"+OK\r\n{lines}.\r\n".encode()


def _stuffed(text: bytes) -> bytes:
    return (b"\r\n" + text).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n"


@contextlib.contextmanager
def broken(
    replies: Mapping[str, Reply] | None = None,
    *,
    greeting: bytes = b"+OK ready\r\n",
    messages: Sequence[bytes] = (HELLO, SECOND),
    implicit: ssl.SSLContext | None = None,
    stls: ssl.SSLContext | None = None,
    budget: int | None = None,
    at_end: bytes = CLOSE,
) -> Iterator[Broken]:
    """Run a server on a free port of loopback while the block runs; it accepts any login."""
    server = Broken(replies or {}, greeting, messages, implicit, stls)
    server.budget, server.at_end = budget, at_end
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server.port = listener.getsockname()[1]
        threads: list[threading.Thread] = []

        def accept() -> None:
            while True:
                try:
                    sock, _ = listener.accept()
                except OSError:
                    return
                if server.over.is_set():
                    sock.close()
                    return
                threads.append(threading.Thread(target=server.hold, args=(sock,), daemon=True))
                threads[-1].start()

        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        try:
            yield server
        finally:
            server.over.set()
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", server.port), 1).close()
            accepting.join(5)
            for thread in threads:
                thread.join(0.5)
