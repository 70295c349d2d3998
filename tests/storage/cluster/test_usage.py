"""Quotas of maildrops, at all nodes together."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
import structlog

from restante.protocol.secret import Secret
from restante.quota import Quota
from restante.server.composition.backends import build_cluster_store, build_quotas
from restante.server.config.loader import load
from restante.storage.cluster import ClusterStore
from restante.storage.errors import QuotaError
from restante.storage.quota import StoredWithin
from storage.cluster.node_pair import at_two_nodes
from storage.contract import everything

LETTER = b"Subject: a\n\nhello\n"  # 21 octets on the wire


@dataclass
class Accounts:
    """Accounts with one quota."""

    quota: Quota

    async def verify(self, user: str, password: object) -> Any:
        raise NotImplementedError

    async def own_quota(self, _: str) -> Quota:
        return self.quota


@pytest.mark.parametrize("quota", [Quota(50), Quota(None, 2)])
def test_quota(dsn: Secret, quota: Quota) -> None:
    """A delivery over the quota is refused, until mail was removed."""

    async def work(first: ClusterStore, second: ClusterStore) -> None:
        for node in (first, second):
            await node.deliver_within("ann", LETTER, quota)
        with pytest.raises(QuotaError):
            await first.deliver_within("ann", LETTER, quota)
        maildrop = await second.acquire("ann", 1)
        assert maildrop.contents.octets == 42
        await maildrop.remove([0])
        maildrop.release()
        await first.deliver_within("ann", LETTER, quota)

    at_two_nodes(dsn, work)


def test_quota_of_one_owner(dsn: Secret) -> None:
    """An owner's own quota replaces the given one, also before its first mail; 0: unlimited."""

    async def work(first: ClusterStore, second: ClusterStore) -> None:
        await first.set_quota("ann", 100, None)
        for _ in range(4):
            await second.deliver_within("ann", LETTER, Quota(20))
        with pytest.raises(QuotaError):
            await second.deliver_within("ann", LETTER, Quota(20))
        await first.set_quota("ann", None, None)
        for owner in ("ann", "bob"):
            with pytest.raises(QuotaError):
                await second.deliver_within(owner, LETTER, Quota(20))
        await first.set_quota("ann", 0, 0)
        stored = await second.deliver_within("ann", LETTER, Quota(20, 1))
        assert stored.quota == Quota()

    at_two_nodes(dsn, work)


@pytest.mark.parametrize("account", [Quota(0), Quota()])
@pytest.mark.parametrize("policy", ["defer", "remove-oldest"])
def test_quota_of_an_account(dsn: Secret, tmp_path: Path, policy: str, account: Quota) -> None:
    """An account without a limit has more than the default, and that of its maildrop counts."""
    file = tmp_path / "restante.toml"
    (tmp_path / "dsn").write_bytes(dsn.reveal())
    file.write_text(
        f'[mail]\nformat = "cluster"\n[delivery]\nover_quota = "{policy}"\n'
        '[cluster]\npostgresql_dsn_file = "dsn"\n' + "quota_octets = 30\n" * (account != Quota())
    )
    config, log = load(file, {}), structlog.wrap_logger(structlog.ReturnLogger())
    store = cast("ClusterStore", build_cluster_store(config, log))
    quotas = build_quotas(config, store, Accounts(account), log)
    assert quotas

    async def test() -> None:
        async with store.open():
            await quotas.deliver("ann", LETTER)
            await quotas.deliver("ann", LETTER)
            await store.set_quota("ann", None, 2)
            with contextlib.ExitStack() as full:
                if policy == "defer":
                    full.enter_context(pytest.raises(QuotaError))
                await quotas.deliver("ann", LETTER)
            assert len(await everything(store)) == 2

    asyncio.run(test())


def test_quota_and_many_deliveries(dsn: Secret) -> None:
    """Deliveries at the same time do not exceed a quota together."""

    async def work(first: ClusterStore, second: ClusterStore) -> None:
        quota, nodes = Quota(None, 5), [first, second] * 8
        deliveries = [node.deliver_within("ann", LETTER, quota) for node in nodes]
        results = await asyncio.gather(*deliveries, return_exceptions=True)
        assert sum(isinstance(result, StoredWithin) for result in results) == 5
        assert sum(isinstance(result, QuotaError) for result in results) == 11

    at_two_nodes(dsn, work)
