"""The library acts at each fault as a good client does, with both of its faces.

CI runs a sample of the faults, and `make client-faults` all of them.
"""

from __future__ import annotations

import asyncio
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import pytest

import restante
from restante.client import blocking
from restante.client.messages import SizeWarning
from restante.misbehave import Fault
from restante.misbehave.driver import PASSWORD, FaultyServer, serving
from restante.protocol.errors import Pop3Error, ServerRefusedError
from support.faults import chosen_faults, chosen_profiles, client_options, client_target


@dataclass
class Fetched:
    """The result of a client: whole messages, those with a warning, and the errors."""

    whole: list[bytes] = field(default_factory=list)
    doubtful: list[bytes] = field(default_factory=list)
    errors: list[Pop3Error] = field(default_factory=list)

    def keep(self, octets: bytes, warned: list[warnings.WarningMessage]) -> bool:
        """Keep a message, and return whether it is whole without a doubt."""
        sure = not warned
        (self.whole if sure else self.doubtful).append(octets)
        warned.clear()
        return sure


Warned: TypeAlias = list[warnings.WarningMessage]
Fetch: TypeAlias = Callable[[Fault, FaultyServer, Warned], Fetched]


def fetch_blocking(fault: Fault, server: FaultyServer, warned: Warned) -> Fetched:
    """Fetch and delete every message; a refusal of one message stops no other."""
    fetched = Fetched()
    target, options = client_target(fault, server), client_options(fault, server)
    try:
        with blocking.connect(target, PASSWORD, options) as box:
            for message in list(box)[:3]:
                try:
                    if fetched.keep(message.read(), warned):
                        box.delete(message)
                except ServerRefusedError as error:
                    fetched.errors.append(error)
            box.commit()
    except Pop3Error as error:
        fetched.errors.append(error)
    return fetched


def fetch_async(fault: Fault, server: FaultyServer, warned: Warned) -> Fetched:
    """Do the same with asyncio."""
    fetched = Fetched()

    async def fetch() -> None:
        target, options = client_target(fault, server), client_options(fault, server)
        async with restante.connect(target, PASSWORD, options) as box:
            for message in [message async for message in box][:3]:
                try:
                    if fetched.keep(await message.read(), warned):
                        await box.delete(message)
                except ServerRefusedError as error:
                    fetched.errors.append(error)
            await box.commit()

    try:
        asyncio.run(fetch())
    except Pop3Error as error:
        fetched.errors.append(error)
    return fetched


def numbers(messages: list[bytes]) -> set[int]:
    """Return the numbers of whole messages. Fails if a message is not whole."""
    found: set[int] = set()
    for message in messages:
        begins, ends = re.findall(rb"BEGIN-(\d)", message), re.findall(rb"END-(\d)", message)
        assert begins == ends
        found.update(map(int, begins))
    return found


UNSEEN = "retr-same"  # by RETR alone: message 1 comes for message 2, which is then removed
RENUMBERED = "dele-renumbers"  # these clients delete message 1 before RETR 2, which is refused then


@pytest.mark.parametrize(
    "fault", [*chosen_faults(), *chosen_profiles()], ids=lambda fault: fault.name
)
@pytest.mark.parametrize("fetch", [fetch_blocking, fetch_async], ids=["blocking", "async"])
def test_promise(fetch: Fetch, fault: Fault) -> None:
    """No half message is taken for a whole one, and what is removed was fetched whole."""
    with serving(fault) as server, warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always", SizeWarning)
        fetched = fetch(fault, server, warned)
    kept = numbers(fetched.whole)
    assert numbers(server.removed) <= kept or fault.name == UNSEEN
    good = fault.good_client
    if not good.sends_password:
        assert not server.leaked
    if good.exit == "not zero":
        assert fetched.errors
    if good.exit == "zero":
        assert fetched.errors == []
    if good.keeps is not None:
        assert good.keeps <= kept
        assert good.may_keep or kept <= good.keeps
    else:
        count = len(fetched.whole) + len(fetched.doubtful)
        refused = len(fetched.errors) if fault.name == RENUMBERED else 0
        assert count + refused == len(list(fault.surroundings.messages([b"", b""])))
