"""A mailbox behind the Gmail API on this machine, with the shapes of developers.google.com.

It keeps one message for each Message-ID, as Gmail does, and adds a Received field to what it shows.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

RECEIVED = b"Received: from 1 by gmailapi.google.com; Fri, 27 Nov 2026 10:00:00 +0000\r\n"
_PIECE = 64 * 1024


@dataclass
class Imported:
    """A message: its octets are in a file."""

    path: Path
    message_id: str
    labels: set[str]
    query: dict[str, str]


@dataclass
class Gmail:
    """The mailbox of ann@gmail.com.

    Attributes:
        token: what clients must have.
        failures: answers to the next requests, as a status and a reason; each is used once.
        after_import: how an import ends after the message is there: "" well, "cut" without an
            answer, "garbage" with one that is not JSON.
        blind: the search finds nothing, as before Gmail has indexed a message.
        requests: the method and path of each request.
    """

    folder: Path
    token: str = "ya29.token"
    failures: deque[tuple[int, str]] = field(default_factory=deque)
    after_import: str = ""
    blind: bool = False
    requests: list[str] = field(default_factory=list)
    messages: dict[str, Imported] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=lambda: {"INBOX": "INBOX", "UNREAD": "UNREAD"})
    url: str = ""

    def octets(self) -> list[bytes]:
        """Return all messages, as they were imported."""
        return [found.path.read_bytes() for found in self.messages.values()]

    def keep(self, path: Path, labels: set[str], query: dict[str, str]) -> str:
        """Add a message, or merge the labels with the one that has its Message-ID."""
        with path.open("rb") as file:
            head = file.read(_PIECE)
        found = re.search(rb"(?im)^Message-ID:[ \t]*(\S+)", head)
        message_id = found[1].decode("latin-1").strip("<>") if found else ""
        for id_, message in self.messages.items():
            if message_id and message.message_id == message_id:
                message.labels |= labels
                return id_
        id_ = f"{len(self.messages) + 1:016x}"
        self.messages[id_] = Imported(path, message_id, labels, query)
        return id_


class _Handler(BaseHTTPRequestHandler):
    gmail: Gmail
    protocol_version = "HTTP/1.1"

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):  # a client that was killed
            super().handle()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        upload = parts.path.startswith("/upload/")
        body = self._upload() if upload else self.rfile.read(self._length)
        self.gmail.requests.append(f"{self.command} {parts.path}")
        place = parts.path.partition("/users/ann@gmail.com/")[2]
        if self.gmail.failures:
            self._fail(*self.gmail.failures.popleft())
        elif self.headers["Authorization"] != f"Bearer {self.gmail.token}":
            self._fail(401, f"authError of {self.headers['Authorization']}")
        elif isinstance(body, tuple):
            self._import(*body, query)
        elif place == "labels" and self.command == "POST":
            name = json.loads(body)["name"]
            self.gmail.labels[name] = f"Label_{len(self.gmail.labels)}"
            self._say(200, {"id": self.gmail.labels[name], "name": name})
        elif place == "labels":
            rows = [{"id": id_, "name": name} for name, id_ in self.gmail.labels.items()]
            self._say(200, {"labels": rows})
        elif place == "messages":
            self._search(query["q"])
        elif place.startswith("messages/") and query["format"] == "raw":
            self._show(self.gmail.messages[place.partition("/")[2]].path)
        else:
            self._fail(404, "notFound")

    @property
    def _length(self) -> int:
        return int(self.headers["Content-Length"] or 0)

    def _upload(self) -> tuple[Path, dict[str, Any]]:
        """Write the message of a multipart body into a file, and return it with its facts."""
        kind = self.headers["Content-Type"]
        boundary = kind.partition("boundary=")[2].encode()
        left = self._length - len(b"\r\n--" + boundary + b"--\r\n")
        head = b""
        while head.count(b"\r\n\r\n") < 2:
            head += self.rfile.readline()
        left -= len(head)
        path = self.gmail.folder / f"message-{len(self.gmail.requests)}"
        with path.open("wb") as file:
            while left:
                piece = self.rfile.read(min(left, _PIECE))
                if not piece:
                    raise ConnectionResetError("the upload broke off")
                file.write(piece)
                left -= len(piece)
        assert self.rfile.read(len(boundary) + 8) == b"\r\n--" + boundary + b"--\r\n"
        return path, json.loads(head.split(b"\r\n\r\n")[1].split(b"\r\n")[0])

    def _import(self, path: Path, facts: dict[str, Any], query: dict[str, str]) -> None:
        id_ = self.gmail.keep(path, set(facts["labelIds"]), query)
        match self.gmail.after_import:
            case "cut":
                self.close_connection = True
            case "garbage":
                self._write(200, b"<html>")
            case _:
                self._say(200, {"id": id_, "threadId": id_, "labelIds": facts["labelIds"]})

    def _show(self, path: Path) -> None:
        """Answer with a message in base64, in pieces."""
        octets = len(RECEIVED) + path.stat().st_size
        begin, end = b'{"id": "1", "raw": "', b'"}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(begin) + (octets * 4 + 2) // 3 + len(end)))
        self.end_headers()
        self.wfile.write(begin)
        with path.open("rb") as file:
            piece = RECEIVED + file.read(_PIECE - len(RECEIVED))
            while piece:
                piece += file.read(-len(piece) % 3)
                self.wfile.write(base64.urlsafe_b64encode(piece).rstrip(b"="))
                piece = file.read(_PIECE)
        self.wfile.write(end)

    def _search(self, query: str) -> None:
        wanted = query.removeprefix("rfc822msgid:")
        found = [
            {"id": id_, "threadId": id_}
            for id_, message in self.gmail.messages.items()
            if message.message_id == wanted and not self.gmail.blind
        ]
        self._say(200, {"messages": found} if found else {"resultSizeEstimate": 0})

    def _fail(self, status: int, reason: str) -> None:
        row = {"domain": "usageLimits", "reason": reason, "message": f"It is {reason}."}
        error = {"code": status, "message": row["message"], "errors": [row]}
        self._say(status, {"error": error})

    def _say(self, status: int, value: dict[str, Any]) -> None:
        self._write(status, json.dumps(value).encode())

    def _write(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def gmail_api(folder: Path) -> Iterator[Gmail]:
    """Run the API, with its files in a folder."""
    gmail = Gmail(folder)
    handler = type("Handler", (_Handler,), {"gmail": gmail})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        gmail.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield gmail
        finally:
            server.shutdown()
            thread.join()
