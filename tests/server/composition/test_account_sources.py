"""What a configuration makes of the sources of accounts."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import structlog
from structlog.testing import capture_logs

from restante.auth.file.accounts import FileAuthenticator
from restante.protocol.secret import Secret
from restante.server.composition.account_sources import build_hash_upgrader
from restante.server.config.account_sections import AccountsSection

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
