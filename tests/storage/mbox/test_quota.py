"""Quotas of an mbox: its octets are those of the file."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from restante.quota import MailUsage, Quota
from restante.storage.errors import OverQuotaError
from restante.storage.mbox import MboxStore
from restante.storage.paths import Layout

MAIL = b"Subject: a\n\nhello\n"


def test_octets(tmp_path: Path) -> None:
    """A message is delivered if the file then has no more octets than the quota."""
    store = MboxStore(Layout(tmp_path))
    asyncio.run(store.deliver_within("ann", MAIL, Quota(1000)))
    size = (tmp_path / "ann").stat().st_size
    stored = asyncio.run(store.deliver_within("ann", MAIL, Quota(2 * size)))
    assert stored.octets == size
    assert stored.usage.octets == 2 * size
    before = (tmp_path / "ann").read_bytes()
    with pytest.raises(OverQuotaError):
        asyncio.run(store.deliver_within("ann", MAIL, Quota(3 * size - 1)))
    assert (tmp_path / "ann").read_bytes() == before


def test_messages(tmp_path: Path) -> None:
    """A quota of messages counts those of other programs, too."""
    store = MboxStore(Layout(tmp_path))
    (tmp_path / "ann").write_bytes(b"From bob Thu Jan  1 00:00:00 2026\n" + MAIL + b"\n")
    assert asyncio.run(store.deliver_within("ann", MAIL, Quota(None, 2))).usage.messages == 2
    with pytest.raises(OverQuotaError):
        asyncio.run(store.deliver_within("ann", MAIL, Quota(None, 2)))
    size = (tmp_path / "ann").stat().st_size
    found = asyncio.run(store.find_usage("ann", Quota(5)))
    assert found == (MailUsage(size, 2), Quota(5))


def test_no_mbox(tmp_path: Path) -> None:
    """A user without an mbox has no mail, and none is made."""
    store = MboxStore(Layout(tmp_path))
    assert asyncio.run(store.find_usage("ann", Quota()))[0] == MailUsage(0, 0)
    assert list(tmp_path.iterdir()) == []
