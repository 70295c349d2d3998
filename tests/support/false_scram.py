"""Replies of a server with SCRAM-SHA-256 that knows a password, and lies on request."""

from __future__ import annotations

import binascii
import contextlib
import re
from collections.abc import Callable, Mapping
from typing import Any

import scramp

from support.broken_server import Reply

Lie = Callable[[bytes], bytes]

COMMAND = re.compile(r"[A-Z]{4}( .*)?")
MADE = scramp.ScramMechanism("SCRAM-SHA-256").make_auth_info("hunter22")


def honest(message: bytes) -> bytes:
    return message


class FalseScram(dict[str, Reply]):
    """For `broken`: `first` and `final` change what SCRAM says, `status` follows its end."""

    def __init__(
        self,
        *,
        first: Lie = honest,
        final: Lie = honest,
        status: bytes = b"+OK\r\n",
        mechanism: str = "SCRAM-SHA-256",
        binding: tuple[str, bytes] | None = None,
        others: Mapping[str, Reply] | None = None,
    ) -> None:
        capa = f"+OK\r\nTOP\r\nUIDL\r\nUSER\r\nSASL {mechanism}\r\n.\r\n".encode()
        super().__init__({"CAPA": capa, "AUTH": self._begin, **(others or {})})
        self._lies, self._status = (first, final), status
        self._mechanism, self._binding = scramp.ScramMechanism(mechanism), binding
        self._steps: list[Callable[[str], bytes]] = []

    def get(self, key: str, default: Any = None) -> Any:
        """Return the reply to any line, a command or not."""
        return super().get(key, default) if COMMAND.fullmatch(key) else self._answer

    def _begin(self, _: str) -> bytes:
        self._made = self._mechanism.make_server(lambda _: MADE, self._binding)
        self._steps = [self._first, self._final, lambda _: self._status]
        return b"+ \r\n"

    def _answer(self, line: str) -> bytes:
        if line == "*" or not self._steps:
            return b"-ERR given up\r\n"
        return self._steps.pop(0)(line)

    def _first(self, line: str) -> bytes:
        self._made.set_client_first(binascii.a2b_base64(line).decode())
        return self._said(self._lies[0](self._made.get_server_first().encode()))

    def _final(self, line: str) -> bytes:
        with contextlib.suppress(scramp.ScramException):  # its last message says so
            self._made.set_client_final(binascii.a2b_base64(line).decode())
        return self._said(self._lies[1](self._made.get_server_final().encode()))

    def _said(self, message: bytes) -> bytes:
        """Return a challenge; what begins as a status line does stays one."""
        if message.startswith((b"+OK", b"-ERR")):
            return message
        return b"+ " + binascii.b2a_base64(message, newline=False) + b"\r\n"
