"""Whatever goes wrong at whichever need, only a completed QUIT removes mail.

rfc1939-s3/timeout-keeps-mail, rfc1939-s4/failed-open, rfc1939-s6/only-quit-removes,
implied/broken-connection, known-bug/delete-early.
"""

from __future__ import annotations

from typing import Any

import pytest

from restante.protocol.errors import Refusal, ResponseCode
from restante.protocol.server import needs
from restante.protocol.server.needs import CommitDeletions, Need, ReadLine
from support.world import Talk, World

SESSION = (
    b"CAPA\r\nUSER ann\r\nPASS secret\r\nSTAT\r\nUIDL\r\nRETR 1\r\nTOP 2 1\r\nDELE 1\r\nDELE 3\r\n"
    b"RETR 2\r\nQUIT\r\n"
)
MESSAGES = (b"Subject: a\n\none\n", b"Subject: b\n\ntwo\n", b"Subject: c\n\nthree\n")


STORE_NEEDS = {
    needs.ReadLine,
    needs.Authenticate,
    needs.LockMaildrop,
    needs.OpenMessage,
    needs.CommitDeletions,
}


class Stop(Exception):  # noqa: N818
    pass


def full_world() -> World:
    world = World()
    world.add("ann", "secret", *MESSAGES)
    return world


def needs_of_a_session(piece: int) -> list[Need[Any]]:
    seen: list[Need[Any]] = []
    Talk(full_world(), on_need=seen.append, piece=piece).send(SESSION)
    return seen


@pytest.mark.parametrize("piece", [0, 3], ids=["whole", "in pieces"])
def test_session_removes_marked(piece: int) -> None:
    """session/bare-ok, rfc1939-s6/quit-removes-marked, rfc1939-s6/quit-unlocks: a session that ends
    with QUIT removes marked messages.
    """
    world = full_world()
    talk = Talk(world, piece=piece)
    said = talk.send(SESSION)
    assert talk.over
    assert said.endswith(b"+OK Logging out.\r\n")
    assert list(world.mail["ann"]) == ["uid-2"]
    assert not world.locked


@pytest.mark.parametrize("piece", [0, 3], ids=["whole", "in pieces"])
@pytest.mark.parametrize("code", [None, ResponseCode.SYS_TEMP])
def test_refused_need(piece: int, code: ResponseCode | None) -> None:
    """A need that is refused costs a reply and no mail."""
    every_need = needs_of_a_session(piece)
    for place, refused_need in enumerate(every_need):
        if isinstance(refused_need, ReadLine):
            continue  # a driver throws LineTooLong there, or closes
        world = full_world()
        count = iter(range(len(every_need)))

        def refuse(_: Need[Any], count: Any = count, place: int = place) -> None:
            if next(count, -1) == place:
                raise Refusal("No.", code)

        talk = Talk(world, on_need=refuse, piece=piece)
        said = talk.send(SESSION)
        assert (b"-ERR [SYS/TEMP] No.\r\n" if code else b"-ERR No.\r\n") in said, refused_need
        assert len(world.mail["ann"]) in (1, 3)
        if isinstance(refused_need, CommitDeletions):
            assert len(world.mail["ann"]) == 3
            assert b"Logging out" not in said
        assert not world.locked, refused_need
        assert talk.over


@pytest.mark.parametrize("piece", [0, 3], ids=["whole", "in pieces"])
def test_hanging_up_at_any_need_removes_nothing(piece: int) -> None:
    """A client that hangs up at any need removes no message."""
    every_need = needs_of_a_session(piece)
    assert {type(need) for need in every_need} >= STORE_NEEDS
    for place in range(len(every_need)):
        world = full_world()
        count = iter(range(len(every_need)))

        def hang_up(_: Need[Any], count: Any = count, place: int = place) -> None:
            if next(count) == place:
                raise Stop

        with pytest.raises(Stop):
            Talk(world, on_need=hang_up, piece=piece).send(SESSION)
        assert len(world.mail["ann"]) == 3, every_need[place]


def test_close_at_any_line() -> None:
    """A session closed after any line removes no message and unlocks the maildrop."""
    for end in range(len(SESSION) - 1):
        world = full_world()
        talk = Talk(world)
        talk.send(SESSION[:end])
        talk.hang_up()
        assert len(world.mail["ann"]) == 3
        assert not world.locked
