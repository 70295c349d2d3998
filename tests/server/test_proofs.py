"""What is done, and told, of each proof."""

from __future__ import annotations

import asyncio
import io
from typing import Any, cast

from restante.protocol.needs import Verify, VerifyCertificate
from restante.protocol.secret import Secret
from restante.protocol.settings import Identity
from restante.server import observe
from restante.server.proofs import Proofs
from restante.server.service import Service
from restante.server.throttle import Throttle
from restante.storage.memory import MemoryStore
from server.doubles import SlowAccounts


class Wire:
    """A connection of which only the address counts."""

    address = "192.0.2.1"
    tls = None


class Waiting(Throttle):
    """A delay that does not end by itself."""

    async def wait(self, address: str, user: str) -> None:
        await asyncio.Event().wait()

    def suspects(self, address: str, user: str) -> bool:
        return True


def test_a_client_that_goes_away_while_it_must_wait_leaves_nothing_half_begun() -> None:
    accounts = SlowAccounts()

    async def go_away() -> None:
        log, writer = observe.start("text", io.StringIO())
        service = Service(store=MemoryStore(), authenticator=accounts, log=log, throttle=Waiting())
        proofs = Proofs(service, cast("Any", Wire()), log)
        work = asyncio.ensure_future(cast("Any", proofs.meet(Verify("ann", Secret(b"secret")))))
        await asyncio.sleep(0)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        writer.close()

    asyncio.run(go_away())  # a coroutine that was never awaited would be an error
    assert not accounts.asked


class Certified(Wire):
    """A connection with the certificate of one whose name could be written in fewer characters."""

    class tls:  # noqa: N801  # as the wire's
        """What is known of TLS."""

        @staticmethod
        def client_names() -> tuple[str, ...]:
            return ("a\N{SOFT HYPHEN}nn",)


class Everybody:
    """Accounts for all names."""

    async def identify(self, user: str) -> Identity:
        return Identity(user)


def test_the_name_in_a_certificate_is_prepared_as_the_one_that_is_said() -> None:
    """R6856-2.6."""

    async def identities() -> list[Identity]:
        log, writer = observe.start("text", io.StringIO())
        accounts = cast("Any", Everybody())
        service = Service(store=MemoryStore(), authenticator=accounts, log=log)
        proofs = Proofs(service, cast("Any", Certified()), log)
        met = [await cast("Any", proofs.meet(VerifyCertificate(name))) for name in ("", "ann")]
        writer.close()
        return met

    assert asyncio.run(identities()) == [Identity("ann")] * 2
