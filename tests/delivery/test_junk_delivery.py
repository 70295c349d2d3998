"""Addresses whose mail goes to the junk maildrop, by option only."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import structlog

from restante.auth.interfaces import UncertainError
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
    assert resolve(Known(), address, extension) == owner


class Doubtful(Known):
    """The same, in a database that has found no other name yet."""

    async def owner(self, name: str) -> str | None:
        owner = await super().owner(name)
        if owner is None:
            raise UncertainError("no name was ever found")
        return owner


def test_first_mail() -> None:
    """Junk mail is accepted even if it is the first mail since the server started."""
    assert resolve(Doubtful(), "ann+spam@example.com", "spam") == junk_of(ANN)
    assert resolve(Doubtful(), "zoe+spam@example.com", "spam") == replies.NO_ACCOUNTS


def resolve(recipients: Known, address: str, extension: str) -> object:
    """Return the owner of the maildrop of an address, or the reply that rejects it."""
    log: Any = structlog.wrap_logger(structlog.ReturnLogger())

    async def find() -> object:
        office = Deliverer(
            store=MemoryStore(), recipients=recipients, log=log, junk_extension=extension
        )
        return await office.resolve(address)

    return asyncio.run(find())
