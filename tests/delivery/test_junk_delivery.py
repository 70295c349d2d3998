"""Addresses whose mail goes to the junk maildrop, by option only."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import structlog

from restante.delivery import replies
from restante.delivery.deliverer import Deliverer
from restante.junk import junk_of
from restante.storage.memory import MemoryStore

ANN = "ann@example.com"


class Known:
    """Ann, and an account that has the extension in its own name."""

    async def owner(self, name: str) -> str | None:
        return name if name in {ANN, "bob@example.com", "bob+spam@example.com"} else None


@pytest.mark.parametrize(
    ("extension", "address", "owner"),
    [
        ("", "ann+spam@example.com", ANN),
        ("spam", "ann+spam@example.com", junk_of(ANN)),
        ("spam", "Ann+Spam@example.com", junk_of(ANN)),
        ("spam", "ann+lists+spam@example.com", junk_of(ANN)),
        ("spam", "ann+other@example.com", ANN),
        ("spam", ANN, ANN),
        ("spam", "bob+spam@example.com", "bob+spam@example.com"),
        ("spam", "zoe+spam@example.com", replies.UNKNOWN),
    ],
)
def test_owner(extension: str, address: str, owner: object) -> None:
    """Mail for an address with the extension goes to the junk maildrop only if that is asked."""
    log: Any = structlog.wrap_logger(structlog.ReturnLogger())

    async def find() -> object:
        office = Deliverer(
            store=MemoryStore(), recipients=Known(), log=log, junk_extension=extension
        )
        return await office.resolve(address)

    assert asyncio.run(find()) == owner
