"""Both faces of the client, against Restante and against servers that go wrong."""

from __future__ import annotations

import asyncio
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import restante
from restante.client import blocking, maildrop
from restante.client.messages import SizeWarning
from restante.protocol.errors import RemoteError
from support.faulty_server import HELLO, PASSWORD, SECOND, faulty_server
from support.live import PATIENCE, Live, serving

MAIL = (b"Subject: one\n\nhello\n", b".dot first\nSubject: two\n\n.\n..\n", b"x" * 300_000 + b"\n")


@pytest.fixture
def live() -> Iterator[Live]:
    with serving() as live:
        live.add("ann@example.com", "secret", *MAIL)
        yield live


def url(port: int, user: str = "ann@example.com") -> str:
    return f"pop3://{user}@127.0.0.1:{port}"


def test_a_maildrop_is_read_octet_for_octet(live: Live) -> None:
    """The blocking client reads every message octet for octet."""
    with blocking.connect(url(live.port), "secret") as drop:
        assert [m.read() for m in drop] == [m.replace(b"\n", b"\r\n") for m in MAIL]
        assert drop[1].header()["subject"] == "one"
        assert len(drop) == 3


def test_asyncio_reads_the_same(live: Live) -> None:
    """The asyncio client reads the same octets."""

    async def read() -> list[bytes]:
        async with restante.connect(url(live.port), password="secret") as drop:
            assert (await drop[1].header())["subject"] == "one"
            return [await m.read() async for m in drop]

    assert asyncio.run(read()) == [m.replace(b"\n", b"\r\n") for m in MAIL]


def test_only_commit_deletes(live: Live) -> None:
    """rfc1939-s6/only-quit-removes."""
    with blocking.connect(url(live.port), "secret") as drop:
        drop.delete(drop[1])
    with blocking.connect(url(live.port), "secret") as drop:
        assert len(drop) == 3
        drop.delete(2)
        drop.commit()
    with blocking.connect(url(live.port), "secret") as drop:
        assert next(m.read() for m in drop) == MAIL[0].replace(b"\n", b"\r\n")
        assert len(drop) == 2


def test_asyncio_deletes_only_by_commit(live: Live) -> None:
    """Without `commit` no message is deleted."""

    async def delete(*, commit: bool) -> int:
        async with restante.connect(url(live.port), password="secret") as drop:
            before = len(drop)
            await drop.delete(drop[1])
            if commit:
                await drop.commit()
            return before

    assert asyncio.run(delete(commit=False)) == 3
    assert asyncio.run(delete(commit=True)) == 3
    assert asyncio.run(delete(commit=False)) == 2


def test_cancelled_task_deletes_nothing(live: Live) -> None:
    """A cancelled task deletes no message and unlocks the maildrop."""

    async def cancelled() -> None:
        async with restante.connect(url(live.port), password="secret") as drop:
            await drop.delete(1)
            async with asyncio.timeout(0):
                await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        asyncio.run(cancelled())
    with blocking.connect(url(live.port), "secret") as drop:
        assert len(drop) == 3


def test_half_read_message_disconnects(live: Live) -> None:
    """A message that is left half read ends the connection."""
    with blocking.connect(url(live.port), "secret") as drop, drop[3].open() as chunks:
        next(chunks)
    with blocking.connect(url(live.port), "secret") as drop:
        assert len(drop) == 3


def test_headers_are_pipelined(live: Live) -> None:
    """Headers are fetched in one go if the server offers PIPELINING."""
    said: list[tuple[str, str]] = []
    with blocking.connect(url(live.port), "secret", trace=lambda *line: said.append(line)) as drop:
        heads = drop.headers([1, 9, 2])
    assert heads[0] == b"Subject: one\r\n\r\n"
    assert isinstance(heads[1], RemoteError)
    assert heads[1].id == "retr-refused"
    assert (">", "TOP 1 0, TOP 9 0, TOP 2 0") in [(way, text) for way, text in said]


def test_a_trace_shows_no_secret_in_any_form(live: Live) -> None:
    """A trace shows the password neither in clear nor in base64."""
    said: list[str] = []
    for mechanism in ("USER", "PLAIN", "LOGIN"):
        options: dict[str, Any] = {"mechanisms": (mechanism,), "initial_response": True}
        with blocking.connect(
            url(live.port), "secret", trace=lambda _, text: said.append(text), **options
        ):
            pass
    text = "\n".join(said)
    assert "PASS ***" in text
    assert "secret" not in text
    assert "c2VjcmV0" not in text
    assert "AGFubkBleGFtcGxlLmNvbQBzZWNyZXQ" not in text


def test_echoed_password_is_hidden() -> None:
    """If a server repeats the password, the error does not show it."""
    with faulty_server(f"PASS: -ERR [AUTH] no, {PASSWORD} is wrong") as server:
        with pytest.raises(RemoteError) as caught:
            blocking.connect(server.url, PASSWORD)
    assert PASSWORD not in str(caught.value)
    assert PASSWORD not in repr(caught.value)


def test_name_with_line_end_rejected() -> None:
    """A name that contains a line end is rejected."""
    with faulty_server() as server, pytest.raises(restante.protocol.errors.LocalError):
        blocking.connect(url(server.port, "ann%0d%0aDELE 1"), "secret")
    assert not any(line.startswith(("USER", "DELE")) for line in server.commands)


SILENT = {"connect-silent", "login-silent", "list-stall", "retr-stall"}


def seconds_for(fault: str) -> float:
    """Return the time for a reply: little if the server falls silent, else enough."""
    return 0.5 if fault in SILENT else PATIENCE


FAILURES = [
    ("login-refused", "auth-failed"),
    ("login-in-use", "locked"),
    ("connect-silent", "greet-none"),
    ("connect-closed", "greet-closed"),
    ("connect-reset", "tcp-reset"),
    ("greeting-err", "greet-err"),
    ("greeting-smtp", "wrong-protocol"),
    ("greeting: silence at 3\ngreeting-smtp", "wrong-protocol"),
    ("login-silent", "auth-noreply"),
    ("login-closed", "auth-noreply"),
    ("list-cut", "conn-lost"),
    ("list-stall", "stalled"),
    ("list-garbage", "bad-reply"),
    ("uidl-words", "bad-reply"),
    ("uidl-line-endless", "bad-reply"),
]


@pytest.mark.parametrize(("fault", "name"), FAILURES)
@pytest.mark.parametrize("face", ["blocking", "asyncio"])
def test_what_goes_wrong_has_a_name_in_time(fault: str, name: str, face: str) -> None:
    """Each failure raises an error with its id, in both clients."""

    async def opened(url: str) -> None:
        async with restante.connect(url, PASSWORD, reply_seconds=seconds_for(fault)):
            pass

    with faulty_server(fault) as server, pytest.raises(RemoteError) as caught:
        if face == "asyncio":
            asyncio.run(opened(server.url))
        else:
            blocking.connect(server.url, PASSWORD, reply_seconds=seconds_for(fault))
    assert caught.value.id == name


BODIES = [
    ("retr-cut", "msg-truncated"),
    ("retr-stall", "stalled"),
    ("retr-refused", "retr-refused"),
    ("retr-lone-dot", "not-stuffed"),
]


@pytest.mark.parametrize(("fault", "name"), BODIES)
def test_a_message_that_is_not_whole_is_an_error(fault: str, name: str) -> None:
    """A message that is cut off raises an error, and QUIT is not sent."""
    with faulty_server(fault) as server:
        with blocking.connect(server.url, PASSWORD, reply_seconds=seconds_for(fault)) as drop:
            with pytest.raises(RemoteError) as caught:
                drop[1].read()
    assert caught.value.id == name
    assert "QUIT" not in server.commands


def test_wrong_size_warns_or_fails() -> None:
    """A size other than LIST's is a warning, or an error with wrong_size="error"."""
    with faulty_server("LIST: with 1 5") as server:
        with blocking.connect(server.url, PASSWORD) as drop:
            with pytest.warns(SizeWarning, match=f"has {len(HELLO)} octets, but LIST gives 5"):
                assert drop[1].read() == HELLO
        with blocking.connect(server.url, PASSWORD, wrong_size="error") as drop:
            with pytest.raises(RemoteError, match="list-size"):
                drop[1].read()
        noted: list[str] = []
        notice = lambda name, _: noted.append(name)  # noqa: E731
        with blocking.connect(server.url, PASSWORD, notice=notice) as drop:
            drop[1].read()
        assert noted == ["list-size"]


def test_the_total_time_ends_what_drips() -> None:
    """The total time limit ends a reply that comes in small pieces."""
    with faulty_server("LIST: rate 20/s") as server:
        with pytest.raises(RemoteError, match="the time limit of"):
            blocking.connect(server.url, PASSWORD, total_seconds=0.5)


def test_a_quit_that_is_refused_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """A rejected QUIT raises an error."""
    with faulty_server("quit-refused") as server:
        with blocking.connect(server.url, PASSWORD) as drop:
            drop.delete(1)
            with pytest.raises(RemoteError, match="quit-err"):
                drop.commit()


def test_a_session_without_a_commit_ends_in_any_way() -> None:
    """If nothing is marked, a server that fails at QUIT raises no error."""

    async def leave(url: str) -> int:
        async with restante.connect(url, PASSWORD) as drop:
            return len(drop)

    with faulty_server("QUIT: close") as server:
        with blocking.connect(server.url, PASSWORD) as drop:
            assert len(drop) == 2
        assert asyncio.run(leave(server.url)) == 2


def test_quit_without_a_reply(monkeypatch: pytest.MonkeyPatch) -> None:
    """If nothing is marked, a server that does not answer QUIT is left soon."""

    async def leave(url: str) -> None:
        async with restante.connect(url, PASSWORD, reply_seconds=60):
            pass

    monkeypatch.setattr(maildrop, "QUIT_SECONDS", 0.1)
    with faulty_server("QUIT: silence") as server:
        begun = time.monotonic()
        with blocking.connect(server.url, PASSWORD, reply_seconds=60):
            pass
        asyncio.run(leave(server.url))
    assert time.monotonic() - begun < 40


def test_extra_reply_stops_commit() -> None:
    """If there are more replies than commands, no removal is committed."""
    with faulty_server("dele-twice") as server:
        with blocking.connect(server.url, PASSWORD) as drop:
            drop.delete(1)
            with pytest.raises(RemoteError, match="desync"):
                drop.commit()
    assert not server.removed


def test_no_warning_leaves_a_good_message(live: Live) -> None:
    """A correct message causes no warning."""
    with warnings.catch_warnings(), blocking.connect(url(live.port), "secret") as drop:
        warnings.simplefilter("error")
        assert drop[2].read().startswith(b".dot")


def failing(call: Callable[[], object]) -> RemoteError:
    with pytest.raises(RemoteError) as caught:
        call()
    return caught.value


def test_a_dead_port_and_a_dead_name_say_which() -> None:
    """A closed port and an unknown host name have different ids."""
    from support.process import free_port

    assert failing(lambda: blocking.connect(url(free_port()), "pw")).id == "tcp-refused"
    wrong = "pop3s://ann@no-such-host.invalid"
    assert failing(lambda: blocking.connect(wrong, "pw")).id in ("dns-nxdomain", "dns-temp")


def test_retryable() -> None:
    """A call may succeed later if the server is being restarted, or the network was away."""
    from support.process import free_port

    refused = failing(lambda: blocking.connect(url(free_port()), "pw"))
    with faulty_server("greeting-err") as server:
        rejected = failing(lambda: blocking.connect(server.url, PASSWORD))
    away = failing(lambda: blocking.connect("pop3s://ann@255.255.255.255", "pw"))
    assert [refused.id, rejected.id, away.id] == ["tcp-refused", "greet-err", "tcp-unreachable"]
    assert refused.retryable
    assert rejected.retryable
    assert away.retryable


def test_messages_of_the_second_kind_are_unstuffed() -> None:
    """Dot-stuffing is removed from a message."""
    with faulty_server() as server, blocking.connect(server.url, PASSWORD) as drop:
        assert drop[2].read() == SECOND
