"""The stream of events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import cast

import pytest
from starlette.requests import Request
from starlette.responses import StreamingResponse

from restante.web import events
from restante.web.app import create_app
from restante.web.security import Guard, RefusedRequest
from support.page_source import MOST, HandMadeSource


def ask(source: HandMadeSource, last: str = "") -> Request:
    headers = [(b"last-event-id", last.encode())] if last else []
    return Request(
        {
            "type": "http",
            "headers": headers,
            "query_string": b"",
            "app": create_app(source, Guard()),
        }
    )


async def read(source: HandMadeSource, count: int, last: str = "") -> list[str]:
    """Return the first pieces of a stream, and leave it."""
    answer = await events.stream(ask(source, last))
    assert isinstance(answer, StreamingResponse)
    pieces = cast(AsyncGenerator[bytes], answer.body_iterator)
    found = [(await anext(pieces)).decode() for _ in range(count)]
    await pieces.aclose()
    return found


def test_events_after_the_last_one_come() -> None:
    """A reader that was away gets what it missed, and no event twice."""
    source = HandMadeSource()
    for text in (b"a", b"b", b"c"):
        source.add(text)
    assert asyncio.run(read(source, 3, "1")) == [
        "retry: 1000\n\n",
        *(
            f"id: {number}\nevent: delivered\n"
            f'data: {{"id":"memory-{number}","mailbox":"ann@example.com","session":null}}\n\n'
            for number in (2, 3)
        ),
    ]
    assert source.readers == []


def test_silence_has_comments(monkeypatch: pytest.MonkeyPatch) -> None:
    """A comment shows that the line is open."""
    monkeypatch.setattr(events, "PAUSE", 0.01)
    assert asyncio.run(read(HandMadeSource(), 2))[1] == ": open\n\n"


def test_readers_are_bounded() -> None:
    """One reader more than allowed is refused, and leaving makes room."""
    source = HandMadeSource()

    async def crowd() -> None:
        readers = [source.subscribe() for _ in range(MOST)]
        with pytest.raises(RefusedRequest, match="too many"):
            await events.stream(ask(source))
        readers[0].close()
        await read(source, 1)

    asyncio.run(crowd())


def test_a_wrong_id_is_an_error() -> None:
    """Last-Event-ID must be a number of ours."""
    with pytest.raises(RefusedRequest, match="not a number"):
        asyncio.run(events.stream(ask(HandMadeSource(), "x")))
