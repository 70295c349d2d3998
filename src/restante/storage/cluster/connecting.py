"""Connections to PostgreSQL: which of several hosts, and the settings of each connection."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urlsplit

import asyncpg

from restante.storage.cluster.errors import is_full

if TYPE_CHECKING:
    from restante.protocol.secret import Secret

STATEMENT_TIME = 120  # seconds: a statement ends although its node does not cut it off, being dead


class Host(NamedTuple):
    """One of several hosts of an address."""

    name: str
    port: int


async def connect(dsn: Secret, *, pooler: bool, patience: float) -> asyncpg.Connection:
    """Return a connection. The caller sets the time limit.

    Of several hosts the first primary that answers counts. They are asked at the same time: a host
    that does not answer must not use up the time of the others. Raises OSError, TimeoutError,
    PostgresError, InterfaceError, ValueError.
    """
    address = dsn.reveal().decode()
    hosts = _hosts(address)
    options: dict[str, object] = {"statement_cache_size": 0} if pooler else {}
    if not pooler:
        options["server_settings"] = _settings(patience)
    if len(hosts) < 2:
        return await asyncpg.connect(address, **options)
    if "target_session_attrs" not in address:
        options["target_session_attrs"] = "read-write"
    tasks = [
        asyncio.ensure_future(
            asyncpg.connect(address, host=[host.name], port=[host.port], **options)
        )
        for host in hosts
    ]
    return await _first(tasks)


async def _first(tasks: list[asyncio.Future[asyncpg.Connection]]) -> asyncpg.Connection:
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


def _settings(patience: float) -> dict[str, str]:
    """Return the settings of a connection: nothing of it outlives its node for long."""
    return {
        "application_name": "restante",
        "client_min_messages": "warning",
        "lock_timeout": str(int(patience * 900)),  # milliseconds: before the node cuts it off
        "statement_timeout": str(STATEMENT_TIME * 1000),
        "idle_in_transaction_session_timeout": str(STATEMENT_TIME * 1000),
        "tcp_keepalives_idle": "60",
        "tcp_keepalives_interval": "10",
        "tcp_keepalives_count": "3",
        "jit": "off",
    }


def _hosts(address: str) -> list[Host]:
    """Return the hosts of a "postgresql://" address. Raises ValueError."""
    names = urlsplit(address).netloc.rpartition("@")[2].split(",")
    return [_host(name) for name in names if name]


def _host(text: str) -> Host:
    name, colon, port = text.rpartition(":")
    if not colon or "]" in port:  # without a port; an IPv6 address is in brackets
        name, port = text, "5432"
    return Host(unquote(name).strip("[]"), int(port))
