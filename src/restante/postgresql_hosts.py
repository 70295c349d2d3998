"""Connections to PostgreSQL by an address with one host or several.

asyncpg asks several hosts one after the other: one that does not answer, such as a primary without
power, would use up the time of the others. Here they are asked at once, or soon after each other.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urlsplit

import asyncpg

from restante.net.addresses import format_host_port
from restante.system_errors import REJECTED, UNREACHED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from restante.protocol.secret import Secret

STAGGER = 0.25  # seconds from one host to the next, if the administrator's order counts
UNREADABLE = (
    "check its hosts and ports, and write special characters of the password as in a URL, such as"
    " %2F for / and %23 for #"
)


POOLER_FULL = "(max_"  # PgBouncer's error names the setting, such as (max_client_conn)
LOCKED = "another transaction held a lock for too long; pg_stat_activity shows it"
READ_ONLY = "it is read-only, such as a standby; the address must name the primary, or all hosts"
CANCELED = "check its load, its locks and statement_timeout"


class HostsError(ConnectionError):
    """No host of an address can be used. The text says why, and has no part of the password."""


class NoPrimaryError(HostsError):
    """The hosts work, but none is as the address requires."""

    def __init__(self) -> None:
        super().__init__("no host is as target_session_attrs requires, as in a failover")


class AddressError(HostsError):
    """The address cannot be read."""

    def __init__(self, error: Exception) -> None:
        # Python's texts, and those about hosts, have what stands where a host should be.
        text = str(error) if isinstance(error, asyncpg.ClientConfigurationError) else ""
        reason = UNREADABLE if not text or text.startswith("invalid") else text.splitlines()[0]
        super().__init__(f"the address of the database is invalid: {reason}")


class Host(NamedTuple):
    """One of several hosts of an address."""

    name: str
    port: int


def is_full(error: BaseException) -> bool:
    """Return whether PostgreSQL or PgBouncer works, but accepts no more connections."""
    return isinstance(error, asyncpg.TooManyConnectionsError) or (
        isinstance(error, asyncpg.ProtocolViolationError) and POOLER_FULL in str(error)
    )


def broke_between_requests(connection: asyncpg.Connection, error: Exception) -> bool:
    """Return whether a connection broke where asyncpg does not say so.

    It raises AttributeError then, or InternalClientError if PostgreSQL has said that it ends the
    connection, and has not closed it yet.
    """
    return connection.is_closed() or isinstance(error, asyncpg.InternalClientError)


def explain_full(error: Exception) -> str:
    """Return the error of one that accepts no more connections, and what to do."""
    is_own = isinstance(error, asyncpg.TooManyConnectionsError)
    return f"{error}; raise {'its max_connections' if is_own else 'this limit of PgBouncer'}"


def explain(error: Exception) -> str:
    """Return what PostgreSQL's own text of an error does not say, and what to do; "" for most."""
    match error:
        case asyncpg.LockNotAvailableError():
            return LOCKED
        case (
            asyncpg.ReadOnlySQLTransactionError()
            | asyncpg.FeatureNotSupportedError(server_source_function="get_relation_info")
        ):  # the latter because a standby has no unlogged tables
            return READ_ONLY
        case asyncpg.QueryCanceledError():
            return f"{error}; {CANCELED}"
        case asyncpg.PostgresConnectionError():
            return f"{error}; {UNREACHED}"
        case asyncpg.InvalidAuthorizationSpecificationError():
            return f"{error}; {REJECTED}"
    return ""


async def connect(dsn: Secret, *, primary: bool, **options: object) -> asyncpg.Connection:
    """Return a connection to the first host that answers. The caller sets the time limit.

    With `primary`, the hosts are equal, and only one that accepts changes counts, unless the
    address says otherwise. Without, hosts count in their order if they answer soon. `options` are
    those of asyncpg. Raises OSError, TimeoutError, PostgresError, InterfaceError.
    """
    address = dsn.reveal().decode()
    hosts = _hosts(address)
    chooses = "target_session_attrs" in address
    if len(hosts) < 2 or (chooses and "prefer-standby" in address):  # which compares all hosts
        return await _connect(address, options)
    if primary and not chooses:
        options["target_session_attrs"] = "read-write"
    stagger = 0 if primary else STAGGER
    tasks = [
        asyncio.ensure_future(
            _connect(address, {"host": [host.name], "port": [host.port], **options}, turn * stagger)
        )
        for turn, host in enumerate(hosts)
    ]
    return await _first(tasks)


async def find_primaries(dsn: Secret, seconds: float) -> Sequence[str]:
    """Return HOST:PORT of those that accept changes, if an address has several. Raises nothing.

    Of poolers that lead to one server, the last is returned. `seconds` is the limit for a host.
    """
    address = dsn.reveal().decode()

    async def ask(host: Host) -> object:
        options = {"host": [host.name], "port": [host.port], "target_session_attrs": "read-write"}
        async with asyncio.timeout(seconds):
            connection = await _connect(address, {**options, "statement_cache_size": 0})
            try:
                return await connection.fetchval("select pg_postmaster_start_time()")
            finally:
                connection.terminate()

    hosts = _hosts(address)
    if len(hosts) < 2:
        return []
    starts = await asyncio.gather(*map(ask, hosts), return_exceptions=True)
    host_by_start = {
        start: format_host_port(*host)
        for start, host in zip(starts, hosts, strict=True)
        if not isinstance(start, BaseException)
    }
    return list(host_by_start.values())


async def _connect(
    address: str, options: dict[str, object], pause: float = 0
) -> asyncpg.Connection:
    if pause:
        await asyncio.sleep(pause)
    try:
        return await asyncpg.connect(address, **options)
    except asyncpg.TargetServerAttributeNotMatched as error:
        raise NoPrimaryError from error
    except ConnectionError as error:
        if "connection_lost" in str(error):  # asyncpg's own text
            raise ConnectionError from error
        raise
    except (ValueError, OverflowError) as error:  # the latter of a port
        raise AddressError(error) from None  # a traceback would have the text, too


async def _first(tasks: Sequence[asyncio.Future[asyncpg.Connection]]) -> asyncpg.Connection:
    """Return the first connection that is made, and close the others.

    Raises the first error. That a host has too many clients comes first: it works.
    """
    chosen: asyncpg.Connection | None = None
    errors: list[Exception] = []
    try:
        for next_one in asyncio.as_completed(tasks):
            try:
                chosen = await next_one
                return chosen
            except Exception as error:  # noqa: BLE001  # another host may be there
                errors.append(error)
        raise next(filter(is_full, errors), errors[0])
    finally:
        for task in tasks:
            task.cancel()
        for made in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(made, asyncpg.Connection) and made is not chosen:
                made.terminate()


def _hosts(address: str) -> list[Host]:
    """Return the hosts of a "postgresql://" address, none if asyncpg must say what is wrong."""
    try:
        names = urlsplit(address).netloc.rpartition("@")[2].split(",")
        return [_host(name) for name in names if name]
    except ValueError:
        return []


def _host(text: str) -> Host:
    name, colon, port = text.rpartition(":")
    if not colon or "]" in port:  # without a port; an IPv6 address is in brackets
        name, port = text, "5432"
    return Host(unquote(name).strip("[]"), int(port))
