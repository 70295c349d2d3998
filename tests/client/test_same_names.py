"""Both faces of the client have the same names."""

from __future__ import annotations

import asyncio
import inspect

import pytest

import restante
from restante.client import aio, blocking
from restante.protocol.client.replies import Status
from support.faulty_server import PASSWORD, faulty_server


@pytest.mark.parametrize("name", ["Maildrop", "Message"])
def test_what_one_face_has_the_other_has_too(name: str) -> None:
    """The blocking and the asyncio client have the same public names and parameters."""
    awaited, plain = getattr(aio, name), getattr(blocking, name)
    public = [member for member in dir(plain) if not member.startswith("_")]
    other_names = [member for member in dir(awaited) if not member.startswith("_")]
    assert other_names == public, f"give {name} the same names in client/aio.py and blocking.py"
    for member in public:
        one, other = inspect.getattr_static(awaited, member), inspect.getattr_static(plain, member)
        assert isinstance(one, property) == isinstance(other, property)
        if inspect.isfunction(other):
            taken = inspect.signature(other).parameters
            assert list(inspect.signature(one).parameters) == list(taken), member


def test_raw_command_in_asyncio() -> None:
    """In asyncio, too, raw commands can be sent, and their marks are counted."""

    async def typed(url: str) -> None:
        async with restante.connect(url, PASSWORD) as drop:
            ended: list[Status] = []
            assert b"".join([piece async for piece in drop.raw_command("LIST", ended)])
            assert [piece async for piece in drop.raw_command("DELE 1", ended)] == []
            assert [status.ok for status in ended] == [True, True]
            assert drop.marked == {1}

    with faulty_server() as server:
        asyncio.run(typed(server.url))
    assert "DELE 1" in server.commands
    assert not server.removed


def test_a_maildrop_of_asyncio_is_no_plain_iterable() -> None:
    """A maildrop of asyncio can be iterated only with `async for`."""

    async def looked(url: str) -> None:
        async with restante.connect(url, PASSWORD) as drop:
            with pytest.raises(TypeError, match="not iterable"):
                list(drop)  # type: ignore[call-overload]

    with faulty_server() as server:
        asyncio.run(looked(server.url))
