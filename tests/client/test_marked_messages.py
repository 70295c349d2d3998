"""Which messages count as marked, and so keep the client from saying QUIT unasked."""

from __future__ import annotations

import pytest

from restante.client import blocking
from restante.client.maildrop import MaildropState, mark
from restante.client.options import parse_url
from restante.client.session import ClientSession
from restante.protocol.client.effects import Peek, Send
from restante.protocol.errors import ServerRefusedError
from support.broken_server import broken


def url(port: int) -> str:
    return f"pop3://ann@127.0.0.1:{port}"


def test_marked_from_dele_on() -> None:
    """A message counts as marked once DELE is sent, until the server rejects that."""
    box = MaildropState(ClientSession(parse_url(url(110))))
    marking = mark(box, 1)
    assert next(marking) == Peek(0)
    before = box.may_quit
    assert isinstance(marking.send(b""), Send)
    assert (before, box.may_quit) == (True, False)
    marking.send(b"")
    with pytest.raises(ServerRefusedError):
        marking.send(b"-ERR no\r\n")
    assert not box.marked


def test_rejected_second_delete() -> None:
    """A rejected second delete leaves the message marked."""
    answers = iter([b"+OK\r\n", b"-ERR already\r\n"])
    with broken({"DELE": lambda _: next(answers)}) as server:
        with blocking.connect(url(server.port), "pw") as drop:
            drop.delete(1)
            with pytest.raises(ServerRefusedError):
                drop.delete(1)
            assert drop.marked == {1}
    assert "QUIT" not in server.heard
