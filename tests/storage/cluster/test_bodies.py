"""Bodies in memory, in a folder, and in an S3 server."""

from __future__ import annotations

import asyncio
import itertools
import ssl
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import pytest

from restante.protocol.secret import Secret
from restante.storage.cluster.bodies import (
    CHUNK,
    BodyEntry,
    MissingBodyError,
    ObjectBodies,
    new_name,
)
from restante.storage.errors import ForbiddenError, FullError, StoreError
from support.authority import GOOD, key_of
from support.s3 import HIDDEN, KEY, S3, Answer, Request, answering, forward, secret_for

pytest.importorskip("obstore")

T = TypeVar("T")

LETTER = b"Subject: a\r\n\r\nhello\r\n"
LONG = b"0123456789abcde\n" * (CHUNK // 16) * 2 + b"the end"

_buckets = itertools.count()


@pytest.fixture(params=["memory", "folder", "s3"])
def bodies(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectBodies:
    if request.param == "memory":
        return ObjectBodies("memory://", None)
    if request.param == "folder":
        return ObjectBodies(str(tmp_path), None)
    server: S3 = request.getfixturevalue("s3")
    bucket = server.make_bucket(f"bodies-{next(_buckets)}")
    return ObjectBodies(f"{bucket}/some/prefix", server.secret, patience=60)


def run(work: Awaitable[T]) -> T:
    async def wait() -> T:
        return await work

    return asyncio.run(wait())


async def whole(bodies: ObjectBodies, name: str) -> bytes:
    body = await bodies.get(name)
    if isinstance(body, bytes):
        return body
    chunks = [chunk async for chunk in body]
    await body.aclose()
    return b"".join(chunks)


async def entries(bodies: ObjectBodies, after: str = "") -> list[BodyEntry]:
    return [entry async for entry in bodies.list(after)]


@pytest.mark.parametrize("content", [b"", LETTER, LONG, LONG[:CHUNK]], ids=len)
def test_a_body_comes_back_as_it_was(bodies: ObjectBodies, content: bytes) -> None:
    """A body is read as it was put: empty, short, long or one chunk long."""

    async def put_and_get() -> tuple[bytes, bytes]:
        name = new_name()
        await bodies.put(name, content, owner="ann")
        return await whole(bodies, name), await bodies.read_whole(name)

    assert run(put_and_get()) == (content, content)


def test_a_long_body_can_be_closed_early(bodies: ObjectBodies) -> None:
    """A client that hangs up has read the first chunk only."""

    async def read_one_chunk() -> tuple[bytes, list[bytes]]:
        name = new_name()
        await bodies.put(name, LONG, owner="ann")
        body = await bodies.get(name)
        assert not isinstance(body, bytes)
        first = await anext(aiter(body))
        await body.aclose()
        return first, [chunk async for chunk in body]

    assert run(read_one_chunk()) == (LONG[:CHUNK], [])


def test_a_body_that_is_missing_is_an_error(bodies: ObjectBodies) -> None:
    """A missing body is never an empty message."""
    for ask in (bodies.get, bodies.origin):
        with pytest.raises(MissingBodyError, match="missing in the object store"):
            run(ask(new_name()))


def test_a_body_of_another_size_is_an_error(bodies: ObjectBodies) -> None:
    """A body must have the size that the database has for it."""

    async def get_with_another_size() -> None:
        name = new_name()
        await bodies.put(name, LETTER, owner="ann")
        assert await bodies.get(name, len(LETTER)) == LETTER
        await bodies.get(name, len(LETTER) + 1)

    with pytest.raises(StoreError, match="has 21 octets instead of 22"):
        run(get_with_another_size())


def test_a_body_that_is_deleted_meanwhile_ends_with_an_error(bodies: ObjectBodies) -> None:
    """The reply to RETR breaks off rather than end early."""

    async def read_while_it_goes() -> None:
        name = new_name()
        await bodies.put(name, LONG, owner="ann")
        body = await bodies.get(name)
        assert not isinstance(body, bytes)
        await bodies.delete([name])
        async for _ in body:
            pass

    with pytest.raises(MissingBodyError):
        run(read_while_it_goes())


def test_a_put_can_be_repeated(bodies: ObjectBodies) -> None:
    """After a lost reply, the same body may be put again."""

    async def put_twice() -> bytes:
        name = new_name()
        await bodies.put(name, LETTER, owner="ann")
        await bodies.put(name, LETTER, owner="ann")
        return await whole(bodies, name)

    assert run(put_twice()) == LETTER


def test_what_is_gone_counts_as_deleted(bodies: ObjectBodies) -> None:
    """A sweep that was killed deletes the same bodies again."""

    async def delete_twice() -> list[BodyEntry]:
        names = [new_name() for _ in range(3)]
        for name in names[:2]:
            await bodies.put(name, LETTER, owner="ann")
        await bodies.delete(names)
        await bodies.delete([])
        await bodies.delete(names)
        return await entries(bodies)

    assert run(delete_twice()) == []


def test_a_list_is_in_order_and_can_go_on(bodies: ObjectBodies) -> None:
    """A listing has each body once, with its size, and can continue after any name."""

    async def put_and_list() -> tuple[list[str], list[BodyEntry], list[BodyEntry]]:
        names = sorted(new_name() for _ in range(20))
        for number, name in enumerate(names):
            await bodies.put(name, b"x" * number, owner="ann")
        return names, await entries(bodies), await entries(bodies, names[7])

    names, everything, rest = run(put_and_list())
    assert [(entry.name, entry.octets) for entry in everything] == list(
        zip(names, range(20), strict=True)
    )
    assert rest == everything[8:]
    assert all(abs(datetime.now(UTC) - each.modified) < timedelta(hours=1) for each in everything)


@pytest.mark.parametrize("owner", ["ann@example.com", "jürgen o'neil", "x" * 320])
def test_a_body_says_whose_it_is(bodies: ObjectBodies, owner: str) -> None:
    """Owner and date of a body without a row can be found."""
    arrived = datetime(2024, 2, 29, 23, 59, 59, tzinfo=UTC)

    async def put_and_ask() -> tuple[str, datetime]:
        name = new_name()
        await bodies.put(name, LETTER, owner=owner, arrived=arrived)
        return await bodies.origin(name)

    assert run(put_and_ask()) == (owner, arrived)


def test_a_sound_place_has_no_problems(bodies: ObjectBodies) -> None:
    """The probe finds nothing wrong, and leaves nothing there."""
    assert run(bodies.probe()) == []
    assert run(entries(bodies)) == []


def test_more_than_one_request_can_delete(tmp_path: Path) -> None:
    """Any number of bodies is deleted, in requests of at most 1000."""
    bodies = ObjectBodies("memory://", None)

    async def delete_many() -> list[BodyEntry]:
        names = [new_name() for _ in range(2100)]
        for name in names:
            await bodies.put(name, b"", owner="ann")
        await bodies.delete(names)
        return await entries(bodies)

    assert run(delete_many()) == []


def test_names_never_repeat() -> None:
    """A name has 96 random bits, and the time; its beginning is random."""
    names = [new_name() for _ in range(1000)]
    assert len(set(names)) == 1000
    assert {len(name) for name in names} == {3 + 8 + 21}
    assert len({name[:3] for name in names}) > 500
    assert len({name[3:9] for name in names}) <= 2


@pytest.mark.parametrize(
    ("status", "code", "kind", "text"),
    [
        (403, "InvalidAccessKeyId", ForbiddenError, "the key is unknown"),
        (403, "SignatureDoesNotMatch", ForbiddenError, "the secret of the key is wrong"),
        (403, "AccessDenied", ForbiddenError, "too few rights"),
        (403, "QuotaExceeded", FullError, "is full"),
        (404, "NoSuchBucket", StoreError, "the bucket does not exist"),
        (500, "InternalError", StoreError, "InternalError"),
        (503, "SlowDown", StoreError, "too many requests"),
        (503, "OfItsOwn", StoreError, "too many requests"),
        (507, "", FullError, "is full"),
        (507, "XMinioStorageFull", FullError, "is full"),
    ],
)
def test_an_error_says_why(status: int, code: str, kind: type[StoreError], text: str) -> None:
    """Each call fails with the reason, and without the secret."""
    answer = Answer(status, [], f"<Error><Code>{code}</Code>{HIDDEN}</Error>".encode())
    with answering(lambda _: answer) as server:
        bodies = ObjectBodies("s3://mail", server.secret)
        calls: list[Callable[[], Awaitable[object]]] = [
            lambda: bodies.put(new_name(), LETTER, owner="ann"),
            lambda: bodies.get(new_name()),
            lambda: bodies.delete([new_name()]),
            lambda: entries(bodies),
        ]
        for call in calls:
            with pytest.raises(StoreError) as caught:
                run(call())
            assert type(caught.value) is kind
            assert text in str(caught.value)
            assert HIDDEN not in str(caught.value)
            assert KEY not in str(caught.value)
        assert len(run(bodies.probe())) == 1


def test_a_server_that_says_nothing_costs_the_time_limit() -> None:
    """A silent server gives an error, and its connection is closed."""

    async def ask() -> list[bytes]:
        left: asyncio.Queue[bytes] = asyncio.Queue()

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await left.put(await reader.read())
            writer.close()

        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        secret = secret_for(server.sockets[0].getsockname()[1])
        bodies = ObjectBodies("s3://mail", secret, patience=0.1)
        with pytest.raises(StoreError, match="did not answer"):
            await bodies.get(new_name())
        received = await asyncio.wait_for(left.get(), 30)
        server.close()
        return [received]

    assert run(ask())[0].startswith(b"GET /mail/")


def test_a_server_that_is_not_there_is_an_error() -> None:
    """A refused connection is tried twice, and is an error."""
    with answering(lambda _: Answer(200, [], b"")) as server:
        secret = server.secret
    with pytest.raises(StoreError, match="a body cannot be read"):
        run(ObjectBodies("s3://mail", secret).get(new_name()))


@pytest.mark.parametrize(
    ("certified", "text"), [(False, "the connection to the object store broke"), (True, "trusted")]
)
def test_a_connection_that_breaks(
    tmp_path: Path,
    certified: bool,
    text: str,
) -> None:
    """An error says that the connection broke, or that the certificate is invalid."""

    async def ask() -> None:
        async def close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.close()

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        (tmp_path / "pem").write_bytes(GOOD.pem + key_of(GOOD))
        context.load_cert_chain(tmp_path / "pem")
        server = await asyncio.start_server(close, "127.0.0.1", ssl=context if certified else None)
        secret = secret_for(server.sockets[0].getsockname()[1]).reveal()
        if certified:
            secret = secret.replace(b"http:", b"https:")
        with pytest.raises(StoreError, match=text):
            await ObjectBodies("s3://mail", Secret(secret)).get(new_name())
        server.close()

    run(ask())


def test_ignored_conditions_are_found(s3: S3) -> None:
    """The probe reports an object store that overwrites where it must not."""

    def ignore(request: Request) -> Answer:
        method, path, headers, body = request
        kept = {name: v for name, v in headers.items() if name.lower() != "if-none-match"}
        return forward(s3.port, (method, path, kept, body))

    url = s3.make_bucket(f"bodies-{next(_buckets)}")
    with answering(ignore) as server:
        bodies = ObjectBodies(url, server.secret, patience=60)
        problems = run(bodies.probe())
        assert [problem.split(";")[0] for problem in problems] == [
            "the object store ignores conditional writes"
        ]
        assert run(entries(bodies)) == []


def test_another_clock_is_found(s3: S3) -> None:
    """The probe reports an object store whose clock is wrong."""

    def shift(request: Request) -> Answer:
        answer = forward(s3.port, request)
        year = str(datetime.now(UTC).year).encode()
        answer.body = answer.body.replace(b"<LastModified>" + year, b"<LastModified>2001")
        return answer

    url = s3.make_bucket(f"bodies-{next(_buckets)}")
    with answering(shift) as server:
        problems = run(ObjectBodies(url, server.secret, patience=60).probe())
    assert [problem.split(" differ")[0] for problem in problems] == [
        "the clocks of this node and of the object store"
    ]
    assert problems[0].endswith("; let NTP set both")


@pytest.mark.parametrize(
    "url", ["mail", "http://mail", "s3:mail", "file:///srv", "/no/such/folder", "s3://"]
)
def test_a_wrong_address_is_an_error(url: str) -> None:
    """An address that cannot be used is found at start."""
    with pytest.raises(ValueError, match=url):
        ObjectBodies(url, None)


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Object storage without its library is a mistake of the configuration, as an address is."""
    monkeypatch.setitem(sys.modules, "obstore", None)
    monkeypatch.delitem(sys.modules, "restante.storage.cluster.object_store", raising=False)
    with pytest.raises(ValueError, match=r"requires obstore; pip install 'restante\[cluster\]'$"):
        ObjectBodies("s3://mail", None)


@pytest.mark.parametrize("setting", ['token = ""', "allow_http = true", 'token = "Microsoft"'])
def test_a_missing_setting_is_named(setting: str) -> None:
    """The error has the words of the library, unless a value of the file is among them."""
    with pytest.raises(ValueError, match=r"az://mail cannot be used: ") as caught:
        ObjectBodies("az://mail", Secret(setting.encode()))
    is_secret = "Microsoft" in setting
    assert str(caught.value).endswith(
        "a setting is invalid" if is_secret else "Account must be specified"
    )
