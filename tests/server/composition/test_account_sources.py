"""What a configuration makes of the sources of accounts."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, cast

import msgspec
import pytest
import structlog
from structlog.testing import capture_logs

from restante.auth.file.accounts import FileAuthenticator
from restante.auth.interfaces import UnavailableError
from restante.protocol.secret import Secret
from restante.server.composition.account_sources import (
    build_hash_upgrader,
    build_ldap_accounts,
    build_sql_hash_upgrader,
)
from restante.server.config.account_sections import AccountsSection, LdapSection
from support.programs import need_module

WEAK = "{SSHA}E2haLps2L5SUJZLDDkEa59ixGLjWlYfB"


def test_replaced_hashes_are_logged(tmp_path: Path) -> None:
    """The log says how many weak hashes were replaced in the file of accounts."""
    file = tmp_path / "users"
    file.write_text(f"ann:{WEAK}\n")
    os.utime(file, (0, 0))  # no editor is at work
    section = AccountsSection(users=file, upgrade_hashes=True)

    async def log_in_and_write() -> None:
        upgrader = build_hash_upgrader(section, structlog.get_logger())
        assert upgrader is not None
        accounts = FileAuthenticator(file, lambda _: None, upgrader=upgrader)
        await accounts.verify("ann", Secret(b"secret"))
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.gather(*others)
        await upgrader.write()

    with capture_logs() as lines:
        asyncio.run(log_in_and_write())
    assert lines == [{"event": "hashes_replaced", "accounts": 1, "log_level": "info"}]
    assert file.read_text().startswith("ann:$argon2id$")


def test_hashes_stay(tmp_path: Path) -> None:
    """Without the setting nothing replaces hashes."""
    assert build_hash_upgrader(AccountsSection(users=tmp_path), structlog.get_logger()) is None


class Database:
    """A database that keeps the changes that are asked of it."""

    def __init__(self) -> None:
        self.queries: list[str] = []

    async def change(self, query: str, parameters: Sequence[object], ends: float) -> None:
        self.queries.append(query)


@pytest.mark.parametrize("setting", ["postgresql_upgrade", "mysql_upgrade"])
def test_hashes_in_a_database(setting: str) -> None:
    """Weak hashes in a database are replaced by the query of its setting."""
    section = msgspec.convert({"upgrade_hashes": True, setting: "UPDATE"}, AccountsSection)
    database = Database()

    async def replace() -> None:
        upgrader = build_sql_hash_upgrader(section, structlog.get_logger())
        upgrader.replace(cast("Any", database), "ann", WEAK, Secret(b"secret"))
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.gather(*others)

    asyncio.run(replace())
    assert database.queries == ["UPDATE"]


START_TLS = b"1.3.6.1.4.1.1466.20037"  # RFC 4511 section 4.14.1


@pytest.mark.parametrize(
    ("uris", "start_tls", "secured"),
    [
        ("ldap://0.0.0.0:{port}", "auto", True),
        ("ldap://127.0.0.1:1 ldap://0.0.0.0:{port}", "auto", True),
        ("ldap://0.0.0.0:{port}", "never", False),
        ("ldap://127.0.0.1:{port}", "auto", False),
        ("ldap://localhost:{port}", "auto", False),
        ("ldap://127.0.0.1:{port}", "always", True),
    ],
)
def test_start_tls(
    uris: str, start_tls: Literal["auto", "always", "never"], *, secured: bool
) -> None:
    """No password crosses a network before StartTLS, unless the administrator says "never"."""
    need_module("ldap")
    sent = b""

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        sent += await reader.read(4096)
        writer.close()

    async def log_in() -> None:
        async with await asyncio.start_server(hear, "127.0.0.1", 0) as directory:
            port = directory.sockets[0].getsockname()[1]
            section = LdapSection(user_dn="uid={user}", start_tls=start_tls)
            accounts = build_ldap_accounts(uris.format(port=port), section, Secret(b""))
            with contextlib.suppress(UnavailableError):
                await accounts.verify("ann", Secret(b"secret"))

    asyncio.run(log_in())
    assert (START_TLS in sent) == secured == (b"secret" not in sent)
