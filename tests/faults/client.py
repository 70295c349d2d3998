"""A client of a few lines, which knows its replies, and which replies are missing."""

from __future__ import annotations

import socket


class LostError(Exception):
    """The connection ended where an answer should have come."""


class Talk:
    """One connection."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._file = connection.makefile("rb")

    def greet(self) -> None:
        """Read the greeting."""
        self.answer()

    def ask(self, command: str) -> tuple[bool, str]:
        """Say something; return whether it was granted, and the text. Raises LostError."""
        self.send(command)
        return self.answer()

    def send(self, command: str) -> None:
        """Say something. Raises LostError."""
        try:
            self._socket.sendall(command.encode() + b"\r\n")
        except (BrokenPipeError, ConnectionResetError):
            raise LostError from None

    def answer(self) -> tuple[bool, str]:
        """Return whether it was granted, and the text. Raises LostError."""
        line = self._line().decode()
        assert line.startswith(("+OK", "-ERR")), line
        indicator, _, text = line.partition(" ")
        return indicator == "+OK", text

    def lines(self) -> list[bytes]:
        """Return the lines of a reply, unstuffed. Raises LostError."""
        found = []
        while (line := self._line()) != b".":
            found.append(line[1:] if line.startswith(b".") else line)
        return found

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def _line(self) -> bytes:
        try:
            line = self._file.readline()
        except ConnectionResetError:
            raise LostError from None
        if not line.endswith(b"\r\n"):
            raise LostError
        return line[:-2]
