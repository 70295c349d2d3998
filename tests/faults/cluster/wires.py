"""Requests and replies of PostgreSQL and of S3, as far as a proxy must know them.

On a connection of either, a peer answers one request before it reads the next.
"""

from __future__ import annotations

import asyncio
import re
import struct
from dataclasses import dataclass
from typing import NamedTuple, Protocol

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Request(NamedTuple):
    """The octets that one peer sends before the other answers, and the request in them."""

    label: str
    octets: bytes
    answered: bool = True
    reply_ends: tuple[bytes, ...] = ()  # types of PostgreSQL's frames, one of which is the last
    bodiless: bool = False  # its reply has no body, whatever HTTP's header says


class Wire(Protocol):
    """One connection of a client. Each raises IncompleteReadError where a peer hangs up."""

    error: bytes  # a reply that says: not now
    ends_with_error: bool  # the connection

    async def read_request(self, reader: asyncio.StreamReader) -> Request:
        """Return the next request."""

    async def read_reply(self, reader: asyncio.StreamReader, request: Request) -> bytes:
        """Return the whole reply to a request."""


TERMINATED = b"SFATAL\0VFATAL\0C57P01\0Mterminated, for a test\0\0"


@dataclass
class PostgresqlWire:
    """A request is a packet of the start, a simple query, or all up to Sync or Flush.

    "Message Flow" and "Message Formats" of PostgreSQL's manual.
    """

    error = b"E" + struct.pack("!i", len(TERMINATED) + 4) + TERMINATED
    ends_with_error = True

    def __post_init__(self) -> None:
        self._started = False
        self._statements: dict[bytes, str] = {}

    async def read_request(self, reader: asyncio.StreamReader) -> Request:
        if not self._started:
            return await self._read_startup(reader)
        octets, label = b"", ""
        while True:
            kind, frame = await _read_frame(reader)
            octets += frame
            label = label or self._sql(kind, frame[5:])
            if kind in ENDS:
                return Request(label or ENDS[kind], octets, kind != b"X", REPLY_ENDS[kind])

    async def _read_startup(self, reader: asyncio.StreamReader) -> Request:
        length = await reader.readexactly(4)
        rest = await reader.readexactly(_number(length) - 4)
        code = _number(rest[:4])
        self._started = code >> 16 == VERSION
        answered = code != CANCEL
        return Request("connect", length + rest, answered, (b"Z", b"E"))

    def _sql(self, kind: bytes, payload: bytes) -> str:
        """Return the SQL that a frame runs, "" for none; remember it by the statement's name."""
        if kind == b"P":
            name, sql, *_ = payload.split(b"\0")
            self._statements[name] = " ".join(sql.decode().split())[:120]
            return self._statements[name]
        if kind == b"B":
            return self._statements.get(payload.split(b"\0")[1], "")
        return " ".join(payload[:-1].decode().split())[:120] if kind == b"Q" else ""

    async def read_reply(self, reader: asyncio.StreamReader, request: Request) -> bytes:
        if not self._started:
            return await reader.readexactly(1)  # to the question for TLS
        octets = b""
        while True:
            kind, frame = await _read_frame(reader)
            octets += frame
            asks_for_password = kind == b"R" and _number(frame[5:9]) in PASSWORDS
            if kind in request.reply_ends or asks_for_password:
                return octets


VERSION = 3  # of the protocol
CANCEL = 80877102
PASSWORDS = (3, 5, 10, 11)  # of Authentication messages, those that ask
ENDS = {
    b"Q": "query",
    b"S": "sync",
    b"H": "flush",
    b"F": "call",
    b"c": "copied",
    b"f": "not copied",
    b"p": "password",
    b"X": "bye",
}
"""By the type of a frame that ends a request: its name."""

REPLY_ENDS = dict.fromkeys(ENDS, (b"Z",)) | {
    b"Q": (b"Z", b"G"),  # G asks for what to copy
    b"H": (b"T", b"n", b"E", b"C", b"I", b"s"),
    b"p": (b"Z", b"E"),
}


async def _read_frame(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readexactly(5)
    return head[:1], head + await reader.readexactly(_number(head[1:]) - 4)


def _number(octets: bytes) -> int:
    return int.from_bytes(octets, "big")


@dataclass
class HttpWire:
    """HTTP/1.1 without pipelining, RFC 9112."""

    error = (
        b"HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\nContent-Length: 41\r\n\r\n"
        b"<Error><Code>SlowDown</Code></Error>     "
    )
    ends_with_error = False

    async def read_request(self, reader: asyncio.StreamReader) -> Request:
        head = await reader.readuntil(b"\r\n\r\n")
        method, target = head.split(b" ")[:2]
        what = "object"
        if b"list-type=" in target:
            what = "list"
        elif re.search(rb"[?&](delete|uploads?|uploadId)\b", target):
            what = "several"
        octets = head + await _read_body(reader, head)
        return Request(f"{method.decode()} {what}", octets, bodiless=method == b"HEAD")

    async def read_reply(self, reader: asyncio.StreamReader, request: Request) -> bytes:
        octets = b""
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            octets += head
            status = int(head.split(b" ")[1])
            if status >= 200:
                break
        if request.bodiless or status in (204, 304):
            return octets
        has_end = re.search(rb"(?i)\r\n(content-length|transfer-encoding):", head)
        return octets + (await _read_body(reader, head) if has_end else await reader.read())


async def _read_body(reader: asyncio.StreamReader, head: bytes) -> bytes:
    if length := re.search(rb"(?i)\r\ncontent-length: *(\d+)", head):
        return await reader.readexactly(int(length[1]))
    octets = b""
    if re.search(rb"(?i)\r\ntransfer-encoding: *chunked", head):
        while not octets.endswith(b"\r\n0\r\n\r\n") and octets != b"0\r\n\r\n":
            size = await reader.readuntil(b"\r\n")
            octets += size + await reader.readexactly(int(size.split(b";")[0], 16) + 2)
    return octets
