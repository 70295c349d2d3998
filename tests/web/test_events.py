"""The stream of events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import cast

import pytest
from starlette.requests import Request
from starlette.responses import StreamingResponse

from restante.web import events
from restante.web import page as web_page
from restante.web.page import page_of
from restante.web.security import RefusedRequest
from support.page_client import add, ask, quiet_server, say


async def read(request: Request, count: int) -> list[str]:
    """Return the first pieces of a stream, and leave it."""
    answer = await events.stream(request)
    assert isinstance(answer, StreamingResponse)
    pieces = cast(AsyncGenerator[bytes], answer.body_iterator)
    found = [(await anext(pieces)).decode() for _ in range(count)]
    await pieces.aclose()
    assert page_of(request).readers == 0
    return found


def test_events_after_the_last_one_come() -> None:
    """A reader that was away gets what it missed, and no event twice."""
    server = quiet_server()
    for text in (b"a", b"b", b"c"):
        add(server, text)
    assert asyncio.run(read(ask(server, last_event="1"), 3)) == [
        "retry: 1000\n\n",
        *(
            f"id: {number}\nevent: delivered\n"
            f'data: {{"id":{number},"mailbox":"ann@example.com","session":null}}\n\n'
            for number in (2, 3)
        ),
    ]


def test_events_after_a_restart_come() -> None:
    """A reader with the id of an earlier server gets what happened since the restart."""
    server = quiet_server()
    add(server, b"a")
    pieces = asyncio.run(read(ask(server, last_event="500"), 2))
    assert pieces[1].startswith("id: 1\nevent: delivered\n")


def test_no_event_is_missed_at_the_start() -> None:
    """An event after the answer begins is in it, even before its first piece was read."""
    server = quiet_server()
    request = ask(server)

    async def read_first() -> str:
        answer = await events.stream(request)
        assert isinstance(answer, StreamingResponse)
        add(server, b"a")
        pieces = cast(AsyncGenerator[bytes], answer.body_iterator)
        await anext(pieces)
        event = await asyncio.wait_for(anext(pieces), 60)
        await pieces.aclose()
        return event.decode()

    assert "event: delivered" in asyncio.run(read_first())


def test_others_have_their_turn_between_events() -> None:
    """A reader that missed many events does not hold up others, and its end is noticed."""
    server = quiet_server()
    for number in range(100):
        add(server, b"%d" % number)
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def read_all() -> None:
        others = asyncio.create_task(count_turns())
        await read(ask(server, last_event="0"), 101)
        others.cancel()

    asyncio.run(read_all())
    assert turns > 90


def test_a_line_is_as_the_api_shows_it() -> None:
    """A line comes with its session, its number, and its time in UTC."""
    server = quiet_server()
    say(server.sessions.open("POP3", "127.0.0.1:5"), "C NOOP")
    assert asyncio.run(read(ask(server, last_event="1"), 2))[1] == (
        'id: 2\nevent: line\ndata: {"session":1,"number":1,"time":"2026-11-27T12:00:00.000Z",'
        '"sender":"C","text":"NOOP","message":""}\n\n'
    )


def test_silence_has_comments(monkeypatch: pytest.MonkeyPatch) -> None:
    """A comment shows that the line is open."""
    monkeypatch.setattr(events, "PAUSE", 0.01)
    assert asyncio.run(read(ask(quiet_server()), 2))[1] == ": open\n\n"


def test_readers_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """One reader more than allowed is refused, and leaving makes room."""
    monkeypatch.setattr(web_page, "MAX_READERS", 1)
    request = ask(quiet_server())
    with page_of(request).reading(), pytest.raises(RefusedRequest, match="too many"):
        asyncio.run(events.stream(request))
    asyncio.run(read(request, 1))


def test_a_wrong_id_is_an_error() -> None:
    """Last-Event-ID must be a number of ours."""
    with pytest.raises(RefusedRequest, match="not a number"):
        asyncio.run(events.stream(ask(quiet_server(), last_event="x")))


def test_a_stream_ends_with_the_server() -> None:
    """The last event says that the server stops, and nothing follows it."""
    server = quiet_server()
    server.feed.publish("stopped")
    request = ask(server, last_event="0")
    assert asyncio.run(read(request, 2))[1] == "id: 1\nevent: stopped\ndata: {}\n\n"
    with pytest.raises(StopAsyncIteration):
        asyncio.run(read(request, 3))
