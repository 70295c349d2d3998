"""Both faces of the client, against Restante and against servers that go wrong."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import restante
from restante.client import blocking
from restante.client.maildrop import SizeWarning
from restante.protocol.errors import RemoteError
from support.broken_server import CLOSE, HELLO, RESET, SECOND, SILENCE, broken
from support.live import Live, serving

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
    with broken({"PASS": b"-ERR [AUTH] no, hunter22 is wrong\r\n"}) as server:
        with pytest.raises(RemoteError) as caught:
            blocking.connect(url(server.port), "hunter22")
    assert "hunter22" not in str(caught.value)
    assert "hunter22" not in repr(caught.value)


def test_name_with_line_end_rejected() -> None:
    """A name that contains a line end is rejected."""
    with broken() as server, pytest.raises(restante.protocol.errors.LocalError):
        blocking.connect(url(server.port, "ann%0d%0aDELE 1"), "secret")
    assert not any(line.startswith(("USER", "DELE")) for line in server.heard)


FAILURES: list[tuple[str, dict[str, Any], str]] = [
    ("refused", {"replies": {"PASS": b"-ERR [AUTH] no\r\n"}}, "auth-failed"),
    ("in use", {"replies": {"PASS": b"-ERR [IN-USE] busy\r\n"}}, "locked"),
    ("no greeting", {"greeting": SILENCE}, "greet-none"),
    ("closed at once", {"greeting": CLOSE}, "greet-closed"),
    ("reset at once", {"greeting": RESET}, "tcp-reset"),
    ("sorry", {"greeting": b"-ERR [SYS/TEMP] sorry\r\n"}, "greet-err"),
    ("smtp", {"greeting": b"220 mail ESMTP Postfix\r\n" + SILENCE}, "wrong-protocol"),
    ("smtp without a line end", {"greeting": b"220" + SILENCE}, "wrong-protocol"),
    ("silent after PASS", {"replies": {"PASS": SILENCE}}, "auth-noreply"),
    ("closed after PASS", {"replies": {"PASS": CLOSE}}, "auth-noreply"),
    ("a list that breaks off", {"replies": {"LIST": b"+OK\r\n1 5\r\n" + CLOSE}}, "conn-lost"),
    ("a list that stalls", {"replies": {"LIST": b"+OK\r\n1 5\r\n" + SILENCE}}, "stalled"),
    ("a list of no numbers", {"replies": {"LIST": b"+OK\r\none two\r\n.\r\n"}}, "bad-reply"),
    ("no status line", {"replies": {"UIDL": b"hello\r\n"}}, "bad-reply"),
    ("a line without end", {"replies": {"UIDL": b"+OK" + b"x" * 70_000 + SILENCE}}, "bad-reply"),
]


@pytest.mark.parametrize(
    ("server", "name"), [(made, name) for _, made, name in FAILURES], ids=[f[0] for f in FAILURES]
)
@pytest.mark.parametrize("face", ["blocking", "asyncio"])
def test_what_goes_wrong_has_a_name_in_time(server: dict[str, Any], name: str, face: str) -> None:
    """Each failure raises an error with its id, in both clients."""

    async def opened(port: int) -> None:
        async with restante.connect(url(port), password="pw", reply_seconds=0.5):
            pass

    with broken(**server) as running, pytest.raises(RemoteError) as caught:
        if face == "asyncio":
            asyncio.run(opened(running.port))
        else:
            blocking.connect(url(running.port), "pw", reply_seconds=0.5)
    assert caught.value.id == name


BODIES: list[tuple[str, bytes, str]] = [
    ("cut off", b"+OK\r\n" + HELLO[:20] + CLOSE, "msg-truncated"),
    ("stalled", b"+OK\r\n" + HELLO[:20] + SILENCE, "stalled"),
    ("refused", b"-ERR no\r\n", "retr-refused"),
    ("a dot not stuffed", b"+OK\r\nSubject: x\r\n\r\n.\r\nmore\r\n.\r\n", "not-stuffed"),
]


@pytest.mark.parametrize(("reply", "name"), [b[1:] for b in BODIES], ids=[b[0] for b in BODIES])
def test_a_message_that_is_not_whole_is_an_error(reply: bytes, name: str) -> None:
    """A message that is cut off raises an error, and QUIT is not sent."""
    with broken({"RETR": reply}) as server:
        with blocking.connect(url(server.port), "pw", reply_seconds=0.5) as drop:
            with pytest.raises(RemoteError) as caught:
                drop[1].read()
    assert caught.value.id == name
    assert "QUIT" not in server.heard


def test_wrong_size_warns_or_fails() -> None:
    """A size other than LIST's is a warning, or an error with wrong_size="error"."""
    with broken({"LIST": b"+OK\r\n1 5\r\n2 46\r\n.\r\n"}) as server:
        with blocking.connect(url(server.port), "pw") as drop:
            with pytest.warns(SizeWarning, match=f"has {len(HELLO)} octets, but LIST gives 5"):
                assert drop[1].read() == HELLO
        with blocking.connect(url(server.port), "pw", wrong_size="error") as drop:
            with pytest.raises(RemoteError, match="list-size"):
                drop[1].read()


def test_the_total_time_ends_what_drips() -> None:
    """The total time limit ends a reply that comes in small pieces."""

    def drip(_: str) -> bytes:
        return b"+OK\r\n" + b"1 5\r\n" * 3 + SILENCE

    with broken({"LIST": drip}) as server, pytest.raises(RemoteError, match="of the time limit"):
        blocking.connect(url(server.port), "pw", total_seconds=0.5)


def test_a_quit_that_is_refused_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """A rejected QUIT raises an error."""
    with broken({"QUIT": b"-ERR [SYS/TEMP] disk\r\n"}) as server:
        with blocking.connect(url(server.port), "pw") as drop:
            drop.delete(1)
            with pytest.raises(RemoteError, match="quit-err"):
                drop.commit()


def test_extra_reply_stops_commit() -> None:
    """If there are more replies than commands, no removal is committed."""
    with broken({"DELE": b"+OK\r\n+OK\r\n"}) as server:
        with blocking.connect(url(server.port), "pw") as drop:
            drop.delete(1)
            with pytest.raises(RemoteError, match="desync"):
                drop.commit()
    assert not server.deleted


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


def test_messages_of_the_second_kind_are_unstuffed() -> None:
    """Dot-stuffing is removed from a message."""
    with broken() as server, blocking.connect(url(server.port), "pw") as drop:
        assert drop[2].read() == SECOND
