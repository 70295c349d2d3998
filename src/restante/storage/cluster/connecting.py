"""Connections to PostgreSQL as the store requires them: to a primary, with its own settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante import postgresql_hosts

if TYPE_CHECKING:
    import asyncpg

    from restante.protocol.secret import Secret

STATEMENT_TIME = 120  # seconds: a statement ends although its node does not cut it off, being dead


async def connect(dsn: Secret, *, pooler: bool, patience: float) -> asyncpg.Connection:
    """Return a connection to a primary. The caller sets the time limit.

    Raises OSError, TimeoutError, PostgresError, InterfaceError.
    """
    options: dict[str, object] = {"statement_cache_size": 0} if pooler else {}
    if not pooler:
        options["server_settings"] = _settings(patience)
    return await postgresql_hosts.connect(dsn, primary=True, **options)


def _settings(patience: float) -> dict[str, str]:
    """Return the settings of a connection: nothing of it outlives its node for long."""
    return {
        "application_name": "restante",
        "client_min_messages": "warning",
        "default_transaction_isolation": "read committed",  # sql/ relies on it
        "lock_timeout": str(int(patience * 900)),  # milliseconds: before the node cuts it off
        "statement_timeout": str(STATEMENT_TIME * 1000),
        "idle_in_transaction_session_timeout": str(STATEMENT_TIME * 1000),
        "tcp_keepalives_idle": "60",
        "tcp_keepalives_interval": "10",
        "tcp_keepalives_count": "3",
        "jit": "off",
    }
