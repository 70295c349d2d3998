"""IMAP servers of one user as the tests need them: one that misbehaves, and one like Gmail's."""

from __future__ import annotations

import contextlib
import re
import socketserver
import threading
from collections.abc import Callable, Iterator
from typing import ClassVar, TypeVar

Kind = TypeVar("Kind", bound="ImapHandler")


class ImapHandler(socketserver.StreamRequestHandler):
    """Answers as an IMAP server does that has one empty folder.

    Attributes:
        capabilities: what the server offers beside IMAP4rev1.
        commands: the words of the commands that came.
    """

    capabilities: ClassVar[bytes] = b""
    commands: ClassVar[list[bytes]]

    def handle(self) -> None:
        self.say(b"* OK [CAPABILITY IMAP4rev1%b] ready" % self.capabilities)
        while line := self.rfile.readline():
            tag, _, command = line.strip().partition(b" ")
            word = command.split(b" ")[0].upper()
            self.commands.append(word)
            if (answer := self.answer(tag, word, command)) is not None:
                self.say(tag + b" " + answer)

    def answer(self, tag: bytes, word: bytes, command: bytes) -> bytes | None:
        """Return the tagged answer to a command, after all that comes before it; None for none."""
        if word == b"STATUS":
            self.say(b'* STATUS "INBOX" (UIDVALIDITY 7 UIDNEXT 4)')
        elif word == b"CAPABILITY":
            self.say(b"* CAPABILITY IMAP4rev1%b" % self.capabilities)
        elif word == b"LOGOUT":
            self.say(b"* BYE")
        return b"OK done"

    def say(self, line: bytes) -> None:
        with contextlib.suppress(OSError):
            self.wfile.write(line + b"\r\n")

    def take_literal(self, octets: int) -> bytes:
        """Ask for a literal, and return it."""
        self.say(b"+ go on")
        taken = self.rfile.read(octets)
        self.rfile.readline()
        return taken


class GmailHandler(ImapHandler):
    """Answers as Gmail does: it finds a message by its Message-ID in any folder.

    Attributes:
        folders: the messages of each folder by their UIDs.
        removed: UIDs that another program removes once their sizes are known.
    """

    capabilities = b" UIDPLUS X-GM-EXT-1"
    folders: ClassVar[dict[bytes, dict[int, bytes]]]
    flags: ClassVar[dict[bytes, bytes]] = {b"INBOX": b"", b"[Gmail]/All Mail": b"\\All"}
    removed: ClassVar[set[int]] = set()
    selected: dict[int, bytes]

    def answer(self, tag: bytes, word: bytes, command: bytes) -> bytes | None:
        match word:
            case b"LIST":
                for name, flags in self.flags.items():
                    self.say(b'* LIST (%b) "/" "%b"' % (flags, name))
            case b"EXAMINE":
                [name] = re.findall(rb'"(.*)"', command) or [command.split()[1]]
                self.selected = self.folders[name]
                self.say(b"* %d EXISTS" % len(self.selected))
            case b"APPEND":
                return self._append(command)
            case b"UID":
                self._look(command)
            case _:
                return super().answer(tag, word, command)
        return b"OK done"

    def _append(self, command: bytes) -> bytes:
        [octets] = re.findall(rb"\{([0-9]+)\}", command)
        inbox, everything = self.folders.values()
        uid = 4 + len(everything)
        inbox[uid] = everything[uid] = self.take_literal(int(octets))
        return b"OK [APPENDUID 7 %d] done" % uid

    def _look(self, command: bytes) -> None:
        """Answer UID SEARCH and UID FETCH."""
        uids = list(self.selected)
        if id_ := re.search(rb'X-GM-RAW "?rfc822msgid:([^"]*)', command):
            uids = [uid for uid, octets in self.selected.items() if b"<%b>" % id_[1] in octets]
        if b"SEARCH" in command:
            self.say(b"* SEARCH " + b" ".join(b"%d" % uid for uid in uids))
            return
        uid = int(command.split()[2])
        octets = self.selected[uid]
        if b"RFC822.SIZE" in command:
            self.say(b"* 1 FETCH (UID %d RFC822.SIZE %d)" % (uid, len(octets)))
        elif uid not in self.removed:
            self.say(b"* 1 FETCH (UID %d BODY[]<0> {%d}\r\n%b)" % (uid, len(octets), octets))


@contextlib.contextmanager
def serving(kind: type[Kind], **own: object) -> Iterator[tuple[int, type[Kind]]]:
    """Serve while the block runs, and return the port and the class of the handlers."""
    handler = type("Handler", (kind,), {"commands": [], **own})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server.server_address[1], handler
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def odd_server(append: Callable[[ImapHandler, bytes], None]) -> Iterator[int]:
    """Serve with an APPEND of the test's own, and return the port."""

    def answer(self: ImapHandler, tag: bytes, word: bytes, command: bytes) -> bytes | None:
        if word == b"APPEND":
            append(self, tag)
            return None
        return ImapHandler.answer(self, tag, word, command)

    with serving(ImapHandler, answer=answer) as (port, _):
        yield port
