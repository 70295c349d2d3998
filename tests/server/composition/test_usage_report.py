"""How much mail the accounts have."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
import structlog

from restante.auth.interfaces import UnreadableAccountError
from restante.quota import Quota
from restante.server.composition.backends import build_store
from restante.server.composition.usage_report import list_usage
from restante.server.config.loader import load


class Accounts:
    """Three accounts, the second of which has a quota that cannot be read."""

    can_list = True

    async def list_accounts(self) -> AsyncIterator[Sequence[tuple[str, int | None]]]:
        yield [("ann", None), ("bad", None), ("cy", None)]

    async def own_quota(self, name: str) -> Quota:
        if name == "bad":
            raise UnreadableAccountError("quota_octets must be a whole number")
        return Quota(1000)


def test_account_that_cannot_be_read(tmp_path: Path) -> None:
    """The other accounts are listed; the error comes last, and names the account."""
    file = tmp_path / "restante.toml"
    file.write_text('[mail]\nfolder = "mail"\n[accounts]\nusers = "users"\n')
    (tmp_path / "mail").mkdir()
    config = load(file, {})
    store = build_store(config, structlog.wrap_logger(structlog.ReturnLogger()))
    found = []

    async def ask() -> None:
        async for usage in list_usage(config, store, cast("Any", Accounts()), ()):
            found.append(usage.user)  # noqa: PERF401  # a comprehension would lose what came before

    with pytest.raises(UnreadableAccountError, match="cannot be read: 1, the first is bad: "):
        asyncio.run(ask())
    assert found == ["ann", "cy"]
