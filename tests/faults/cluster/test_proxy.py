"""The proxies themselves, with asyncpg and http.client before them."""

from __future__ import annotations

import asyncio
import http.server
import re
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException, IncompleteRead

import asyncpg
import pytest

from faults.cluster.proxy import Fault, Injector, Plan, Proxy, proxies
from faults.cluster.wires import HttpWire, PostgresqlWire
from support.other_user import public_folder
from support.postgresql import Database, need_postgresql


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    need_postgresql()
    with public_folder() as folder:
        database = Database(folder)
        database.start()
        database.execute("CREATE TABLE note (text text)")
        yield database
        database.stop()


@pytest.fixture
def injector() -> Injector:
    return Injector(re.compile("^beat"))


@pytest.fixture
def proxy(database: Database, injector: Injector) -> Iterator[Proxy]:
    path = database.socket
    proxy = Proxy(
        "postgresql", PostgresqlWire, lambda: asyncio.open_unix_connection(path), injector
    )
    with proxies(proxy):
        yield proxy


async def _insert(port: int, text: str) -> str:
    """Connect, insert a row and return what PostgreSQL says of it."""
    connection = await asyncpg.connect(
        host="127.0.0.1", port=port, user="restante", database="postgres", timeout=2,
        command_timeout=0.3,
    )  # fmt: skip
    try:
        return str(await connection.execute("INSERT INTO note VALUES ($1)", text))
    finally:
        connection.terminate()


def _count(database: Database, text: str) -> int:
    return len(database.query(f"SELECT text FROM note WHERE text = '{text}'"))


def test_postgresql_passes(database: Database, proxy: Proxy, injector: Injector) -> None:
    """Without a fault a client sees no proxy, and the journal names its requests."""
    assert asyncio.run(_insert(proxy.port, "passed")) == "INSERT 0 1"
    assert _count(database, "passed") == 1
    assert [met.label for met in injector.journal] == [
        "connect",  # may it be TLS?
        "connect",
        "INSERT INTO note VALUES ($1)",  # to prepare it
        "INSERT INTO note VALUES ($1)",
    ]


@pytest.mark.parametrize(
    ("fault", "inserted"),
    [
        (Fault.CUT_BEFORE, 0),
        (Fault.CUT_REQUEST, 0),
        (Fault.CUT_AFTER, 1),
        (Fault.CUT_WITHIN, 1),
        (Fault.DROP_REPLY, 1),
        (Fault.ERROR, 0),
        (Fault.GONE, 0),
    ],
)
def test_postgresql_faults(
    database: Database, proxy: Proxy, injector: Injector, fault: Fault, inserted: int
) -> None:
    """A fault at a request fails it, whether PostgreSQL has executed it or not."""
    text = fault.name
    injector.plan(Plan(4, fault))
    with pytest.raises((OSError, asyncpg.PostgresError, asyncpg.InterfaceError)):
        asyncio.run(_insert(proxy.port, text))
    assert injector.journal[3].fault is fault
    assert _until(lambda: _count(database, text) == inserted)
    if fault is Fault.GONE:
        with pytest.raises(ConnectionError):
            asyncio.run(_insert(proxy.port, text))
    proxy.heal()
    assert asyncio.run(_insert(proxy.port, text)) == "INSERT 0 1"


def test_a_silent_postgresql_hears_late(
    database: Database, proxy: Proxy, injector: Injector
) -> None:
    """A request that was sent into silence arrives once it ends, though the client is gone."""
    injector.plan(Plan(4, Fault.STALL))
    with pytest.raises(TimeoutError):
        asyncio.run(_insert(proxy.port, "late"))
    assert _count(database, "late") == 0
    proxy.heal()
    assert _until(lambda: _count(database, "late") == 1)


def test_beats_count_apart(database: Database, proxy: Proxy, injector: Injector) -> None:
    """A request that a node makes by its clock has a number of its own."""

    async def beat() -> None:
        connection = await asyncpg.connect(
            host="127.0.0.1", port=proxy.port, user="restante", database="postgres"
        )
        with pytest.raises(asyncpg.PostgresError):
            await connection.execute("beat 1")
        with pytest.raises((OSError, asyncpg.PostgresError)):
            await connection.execute("beat 2")

    injector.plan(Plan(2, Fault.CUT_BEFORE, beats=True))
    asyncio.run(beat())
    assert [met.fault for met in injector.beat_journal] == [Fault.NONE, Fault.CUT_BEFORE]
    assert [met.label for met in injector.journal] == ["connect", "connect"]


class _Shelf(http.server.BaseHTTPRequestHandler):
    """Keeps what is put."""

    protocol_version = "HTTP/1.1"
    kept: dict[str, bytes]

    def do_PUT(self) -> None:
        octets = self.rfile.read(int(self.headers["Content-Length"]))
        if len(octets) == int(self.headers["Content-Length"]):
            self.kept[self.path] = octets
        self._say(b"")

    def do_GET(self) -> None:
        octets = self.kept[self.path]
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in (octets[:3], octets[3:]):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def do_HEAD(self) -> None:
        self._say(self.kept[self.path])

    def _say(self, octets: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(octets)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(octets)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def shelf() -> Iterator[int]:
    _Shelf.kept = {}
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Shelf) as server:
        threading.Thread(target=server.serve_forever).start()
        yield server.server_port
        server.shutdown()


@pytest.fixture
def s3(shelf: int, injector: Injector) -> Iterator[Proxy]:
    proxy = Proxy(
        "s3", HttpWire, lambda: asyncio.open_connection("127.0.0.1", shelf, limit=2**20), injector
    )
    with proxies(proxy):
        yield proxy


def test_http_passes(s3: Proxy, injector: Injector) -> None:
    """Several requests pass on one connection: with a length, in chunks, without a body."""
    client = HTTPConnection("127.0.0.1", s3.port)
    client.request("PUT", "/a", b"some octets")
    assert client.getresponse().read() == b""
    client.request("GET", "/a")
    assert client.getresponse().read() == b"some octets"
    client.request("HEAD", "/a")
    assert client.getresponse().read() == b""
    client.close()
    assert [met.label for met in injector.journal] == ["PUT object", "GET object", "HEAD object"]


@pytest.mark.parametrize(
    ("fault", "kept"),
    [
        (Fault.CUT_BEFORE, False),
        (Fault.CUT_REQUEST, False),
        (Fault.CUT_AFTER, True),
        (Fault.DROP_REPLY, True),
        (Fault.GONE, False),
        (Fault.STALL, False),
    ],
)
def test_http_faults(s3: Proxy, injector: Injector, fault: Fault, kept: bool) -> None:
    """A fault at a request fails it, whether the object was put or not."""
    injector.plan(Plan(1, fault))
    client = HTTPConnection("127.0.0.1", s3.port, timeout=0.3)
    with pytest.raises((OSError, HTTPException)):
        client.request("PUT", "/a", b"some octets")
        client.getresponse()
    client.close()
    assert _until(lambda: ("/a" in _Shelf.kept) is kept)


def test_half_of_an_http_reply(s3: Proxy, injector: Injector) -> None:
    """A reply is cut in its body, where that is most of it."""
    _Shelf.kept["/a"] = b"octets" * 1000
    injector.plan(Plan(1, Fault.CUT_WITHIN))
    client = HTTPConnection("127.0.0.1", s3.port)
    client.request("GET", "/a")
    response = client.getresponse()
    with pytest.raises(IncompleteRead):
        response.read()
    client.close()


def test_http_refusal(s3: Proxy, injector: Injector) -> None:
    """A refusal is a reply as any other, and the connection goes on."""
    injector.plan(Plan(1, Fault.ERROR))
    client = HTTPConnection("127.0.0.1", s3.port)
    for status in (503, 200):
        client.request("PUT", "/a", b"some octets")
        response = client.getresponse()
        assert response.status == status
        response.read()
    client.close()


def _until(condition: object) -> bool:
    """Return whether this comes true within some seconds."""
    deadline = time.monotonic() + 20
    while not condition():  # type: ignore[operator]
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
