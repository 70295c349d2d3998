"""Which of several hosts of a PostgreSQL a connection leads to."""

from __future__ import annotations

import asyncio
import traceback
from unittest.mock import AsyncMock, Mock

import asyncpg
import pytest

from restante import postgresql_hosts
from restante.auth.sql.postgresql_query import describe_error
from restante.postgresql_hosts import AddressError, NoPrimaryError
from restante.protocol.secret import Secret

SILENT, STANDBY, PRIMARY, REFUSED, FULL = range(1, 6)  # ports, and what is there
ANY = "any"


class Servers:
    """PostgreSQL at each port; a connection is its port.

    Attributes:
        asked: the ports in their order.
    """

    def __init__(self) -> None:
        self.asked: list[int] = []

    async def connect(
        self, _address: str, *, host: list[str], port: list[int], target_session_attrs: str = ANY
    ) -> int:
        assert host == ["db"]
        found = port[0]
        self.asked.append(found)
        if found == SILENT:
            await asyncio.Event().wait()
        if found == STANDBY and target_session_attrs != ANY:
            raise asyncpg.TargetServerAttributeNotMatched
        if found == REFUSED:
            raise ConnectionRefusedError
        if found == FULL:
            raise asyncpg.TooManyConnectionsError
        return found


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Servers:
    made = Servers()
    monkeypatch.setattr("asyncpg.connect", made.connect)
    return made


def connect(*ports: int, primary: bool, query: str = "") -> object:
    hosts = ",".join(f"db:{port}" for port in ports)
    dsn = Secret(f"postgresql://ann:hunter2@{hosts}/mail{query}".encode())

    async def ask() -> object:
        async with asyncio.timeout(60):
            return await postgresql_hosts.connect(dsn, primary=primary)

    return asyncio.run(ask())


@pytest.mark.usefixtures("servers")
@pytest.mark.parametrize("ports", [(SILENT, PRIMARY), (PRIMARY, SILENT), (REFUSED, PRIMARY)])
@pytest.mark.parametrize("primary", [True, False])
def test_silent_host(ports: tuple[int, ...], *, primary: bool) -> None:
    """A host that does not answer, or that is down, costs the next one no time."""
    assert connect(*ports, primary=primary) == PRIMARY


def test_standby(servers: Servers) -> None:
    """A standby counts only if nothing asks for a primary, and then its place counts."""
    assert connect(STANDBY, PRIMARY, primary=True) == PRIMARY
    assert connect(STANDBY, PRIMARY, primary=False) == STANDBY
    assert servers.asked[-1] == STANDBY


def test_choice_of_the_administrator(servers: Servers) -> None:
    """The address can name other hosts than the primary."""
    query = "?target_session_attrs=any"
    assert connect(SILENT, STANDBY, primary=True, query=query) == STANDBY
    assert set(servers.asked) == {SILENT, STANDBY}


@pytest.mark.parametrize(
    ("ports", "error"),
    [
        ((STANDBY, STANDBY), NoPrimaryError),
        ((REFUSED, STANDBY), ConnectionRefusedError),
        ((STANDBY, FULL), asyncpg.TooManyConnectionsError),
    ],
)
def test_no_host(servers: Servers, ports: tuple[int, ...], error: type[Exception]) -> None:
    """If no host can be used, the first error is raised, or that a primary is full."""
    with pytest.raises(error):
        connect(*ports, primary=True)
    assert servers.asked == [*ports]


def test_two_primaries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two servers that accept changes are found, and two poolers before one server are not."""
    starts = {"a": 1, "b": 2, "pooler": 1}

    class Connection(AsyncMock):
        terminate = Mock()

    async def connect(_: str, *, host: list[str], **__: object) -> Connection:
        if host[0] not in starts:
            raise asyncpg.TargetServerAttributeNotMatched
        made = Connection()
        made.fetchval.return_value = starts[host[0]]
        return made

    def find(hosts: str) -> list[str]:
        dsn = Secret(f"postgresql://ann:hunter2@{hosts}/mail".encode())
        return sorted(asyncio.run(postgresql_hosts.find_primaries(dsn, 60)))

    monkeypatch.setattr("asyncpg.connect", connect)
    assert find("a,standby") == ["a:5432"]
    assert find("a:5433,standby,b") == ["a:5433", "b:5432"]
    assert find("a,pooler") == ["pooler:5432"]
    assert find("a") == []


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("postgresql://ann:hunter2#x@db/mail", "write special characters of the password"),
        ("postgresql://ann:hunter2/x@db/mail", "write special characters of the password"),
        ("postgresql://ann:hunter2@db:hunter2/mail", "check its hosts and ports"),
        ("postgresql://ann:hunter2@a,b:hunter2/mail", "check its hosts and ports"),
        ("postgresql://ann:hunter2@127.0.0.1:99999/mail", "check its hosts and ports"),
        ("postgresql://ann@[hunter2/mail", "check its hosts and ports"),
        ("hunter2://db/mail", "check its hosts and ports"),
        ("postgresql://ann:hunter2@db/mail?sslmode=on", "`sslmode` parameter must be one of"),
    ],
)
def test_bad_address(address: str, reason: str) -> None:
    """The error of an address says what is wrong, and neither it nor its traceback has a secret."""
    with pytest.raises(AddressError, match=reason) as caught:
        asyncio.run(postgresql_hosts.connect(Secret(address.encode()), primary=True))
    assert "hunter2" not in "".join(traceback.format_exception(caught.value)).replace(address, "")


def test_a_connection_that_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    """If a host closes the connection at once, the error is not asyncpg's own text."""

    async def connect_to_none(*_: object, **__: object) -> None:
        raise ConnectionError("unexpected connection_lost() call")

    monkeypatch.setattr("asyncpg.connect", connect_to_none)
    with pytest.raises(ConnectionError) as caught:
        connect(PRIMARY, primary=True)
    assert describe_error(caught.value).startswith("the connection broke; ")
