"""A driver in a few lines of plain Python: accounts, mail and a client in memory, no event loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from restante.protocol.errors import Refusal, ResponseCode
from restante.protocol.lines import LineBuffer
from restante.protocol.server.maildrop import MessageList
from restante.protocol.server.needs import (
    CommitDeletions,
    CorrectSize,
    LockMaildrop,
    NameClient,
    Need,
    OpenMessage,
    ReadLine,
    SendMultiline,
    SendPart,
    StartServerTls,
)
from restante.protocol.server.serve import serve
from restante.protocol.server.session import EndReason, Session
from restante.protocol.server.settings import AuthOffer, ConnectionSecurity, ProtocolSettings
from restante.protocol.stuffing import size_on_wire
from support import credentials, transcript


@dataclass
class World:
    """The accounts and the mail that sessions in memory share."""

    passwords: dict[str, str] = field(default_factory=dict)
    mail: dict[str, dict[str, bytes]] = field(default_factory=dict)  # by user, then by unique-id
    locked: set[str] = field(default_factory=set)
    bindings: dict[str, bytes] = field(default_factory=dict)  # of the channel, for SCRAM
    crowded: set[str] = field(default_factory=set)  # addresses with too many connections

    def add(self, user: str, password: str, *messages: bytes) -> None:
        self.passwords[user] = password
        self.mail[user] = {f"uid-{place}": text for place, text in enumerate(messages, 1)}


class Pieces:
    """A body that comes in pieces."""

    def __init__(self, stored: bytes, size: int) -> None:
        self.pieces = [stored[i : i + size] for i in range(0, len(stored), size)]

    def __aiter__(self) -> Any:
        raise AssertionError("there is no event loop here")

    async def aclose(self) -> None:
        raise AssertionError("there is no event loop here")


class Talk:
    """One session over no network: octets in, octets out.

    `on_need` sees each need first, and may raise Refusal in its place. `piece` makes bodies come in
    pieces of this many octets.
    """

    def __init__(
        self,
        world: World,
        settings: ProtocolSettings | None = None,
        on_need: Callable[[Need[Any]], None] = lambda _: None,
        *,
        piece: int = 0,
        offer: AuthOffer | None = None,
        channel: ConnectionSecurity | None = None,
        names_client: bool = False,
    ) -> None:
        self.world = world
        self.session = Session(
            settings or ProtocolSettings(),
            offer or AuthOffer(),
            channel or ConnectionSecurity(),
            names_client,
        )
        self.over = False
        self.end: EndReason | None = None
        self._on_need = on_need
        self._piece = piece
        self.lines = LineBuffer()
        self._conversation = serve(self.session)
        self._wanted: ReadLine | None = None
        self._write = bytearray()
        self._go_on(None)

    def send(self, octets: bytes = b"") -> bytes:
        """Give octets to the server and return all that it has sent since the last time."""
        self.lines.feed(octets)
        while self._wanted is not None:
            answer = self.lines.take(self._wanted.limit)
            if answer is None:
                break
            self._go_on(answer)
        sent, self._write = bytes(self._write), bytearray()
        return sent

    def hang_up(self) -> None:
        self._conversation.close()
        self._release()

    def _go_on(self, answer: object) -> None:
        self._wanted = None
        try:
            while True:
                if isinstance(answer, Exception):
                    step = self._conversation.throw(answer)
                else:
                    step = self._conversation.send(answer)
                if isinstance(step, tuple):
                    reply, step = step
                    self._write += reply
                try:
                    self._on_need(step)
                    if isinstance(step, ReadLine):
                        self._wanted = step
                        return
                    answer = self._meet(step)
                except Refusal as refusal:
                    answer = refusal
        except StopIteration as ended:
            reply, self.end = ended.value
            self._write += reply
            self.over = True
            self._release()

    def _meet(self, need: Need[Any]) -> object:
        world = self.world
        match need:
            case StartServerTls():
                self._write += need.status
                self.lines = LineBuffer()
                return ConnectionSecurity(tls=True, can_start_tls=True)
            case LockMaildrop():
                if need.identity.name in world.locked:
                    raise Refusal("Another session holds this maildrop.", ResponseCode.IN_USE)
                world.locked.add(need.identity.name)
                box = world.mail[need.identity.name]
                return MessageList(tuple(size_on_wire([m]) for m in box.values()), tuple(box))
            case OpenMessage():
                stored = self._box()[self.session.view.contents.uids[need.index]]
                return Pieces(stored, self._piece) if self._piece else stored
            case SendMultiline():
                assert isinstance(need.body, Pieces)
                self._write += need.status
                for piece in need.body.pieces:
                    self._write += need.wire.feed(piece)
                self._write += need.wire.finish()
                return None
            case SendPart():
                self._write += need.octets
                return None
            case CorrectSize():
                return None
            case NameClient():
                return need.address not in world.crowded
            case CommitDeletions():
                for index in need.indexes:
                    del self._box()[self.session.view.contents.uids[index]]
                self._release()
                return None
        return credentials.meet(need, world.passwords, world.bindings)

    def _box(self) -> dict[str, bytes]:
        assert self.session.identity is not None
        return self.world.mail[self.session.identity.name]

    def _release(self) -> None:
        if self.session.identity is not None:
            self.world.locked.discard(self.session.identity.name)


def play_in_memory(name: str) -> None:
    """Play a transcript on the protocol alone, and compare each octet."""
    script = transcript.read(name)
    world = World()
    for user, (password, messages) in script.mailboxes.items():
        world.add(user, password, *messages)
    talk = Talk(world, script.make_settings(), offer=script.make_offer())
    unread = bytearray(talk.send())

    def send(octets: bytes) -> None:
        unread.extend(talk.send(octets))

    def read_line() -> bytes:
        end = unread.find(b"\n") + 1
        assert end or talk.over, f"the server should have said something; unread: {unread!r}"
        line = bytes(unread[:end])
        del unread[:end]
        return line

    transcript.play(name, script, send, read_line)
    assert not unread, f"the server said more: {unread!r}"
