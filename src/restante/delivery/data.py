"""A message as it comes after DATA: RFC 5321 section 4.5.2, without a limit to the line."""

from __future__ import annotations

from asyncio import LimitOverrunError, StreamReader
from dataclasses import dataclass

from restante.delivery.replies import NO_ROOM, TOO_BIG, DeliveryReply


@dataclass(slots=True)
class MemoryBudget:
    """How much mail may be in memory at once, in octets."""

    left: int

    def take(self, octets: int) -> bool:
        """Take so much, if there is so much."""
        if octets > self.left:
            return False
        self.left -= octets
        return True

    def give_back(self, octets: int) -> None:
        """Give back what was taken."""
        self.left += octets


async def read_message(
    reader: StreamReader, room: MemoryBudget, most: int
) -> bytes | DeliveryReply:
    """Return a message as it is to be stored, up to the line with a dot; or why it is not taken.

    What is returned has taken its size from `room`, and the caller gives it back. The rest of a
    message that is not taken is read and thrown away. Raises IncompleteReadError: the peer has no
    more to say, so it is no message.
    """
    message = DataReader()
    taken = 0
    problem: DeliveryReply | None = None
    try:
        while (piece := await _piece(reader)) != b".\r\n" or not message.at_line_start:
            if problem is None and taken + len(piece) > most:
                problem = TOO_BIG
            elif problem is None and not room.take(len(piece)):
                problem = NO_ROOM
            if problem is None:
                taken += len(piece)
            else:
                message.octets.clear()
            message.add(piece)
    except BaseException:
        room.give_back(taken)
        raise
    if problem:
        room.give_back(taken)
        return problem
    room.give_back(taken - len(message.octets))
    return bytes(message.octets)


class DataReader:
    """Takes what comes, piece by piece, and keeps it as a Unix program wants it: LF ends a line.

    A CR before the CR LF stays with it, so that POP3 gives back the same octets: a stored CR LF is
    a line end like a stored LF. A lone CR or LF is kept as it is.
    """

    def __init__(self) -> None:
        self.octets = bytearray()
        self.at_line_start = True

    def add(self, piece: bytes) -> None:
        """Take a piece that ends with CR LF, or one of a line that goes on."""
        if self.at_line_start and piece.startswith(b"."):
            piece = piece[1:]
        self.octets += piece
        self.at_line_start = piece.endswith(b"\r\n")
        if self.at_line_start and not self.octets.endswith(b"\r\r\n"):
            self.octets[-2:] = b"\n"


async def _piece(reader: StreamReader) -> bytes:
    """Return a line with its end, or a part of a long one."""
    try:
        return await reader.readuntil(b"\r\n")
    except LimitOverrunError as error:
        return await reader.read(error.consumed)
