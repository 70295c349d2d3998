"""The interface of a store that keeps accounts within their quota."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

from restante.storage.interfaces import Store

if TYPE_CHECKING:
    from restante.quota import MailUsage, Quota


class StoredWithin(NamedTuple):
    """A message that was delivered within a quota.

    Attributes:
        uid: its unique-id.
        octets: what it counts.
        usage: how much mail there is now, with it.
        quota: the limits that applied.
    """

    uid: str
    octets: int
    usage: MailUsage
    quota: Quota


@runtime_checkable
class KeepsQuota(Store, Protocol):
    """A store that knows how much mail its owners have.

    A quota that the store itself has for an owner replaces the one that is given.
    """

    async def deliver_within(self, owner: str, message: bytes, quota: Quota) -> StoredWithin:
        """Deliver `message` as `deliver` does, if `owner` then has no more than `quota` allows.

        Raises OverQuotaError, and what `deliver` raises.
        """

    async def find_usage(
        self, owner: str, quota: Quota, *, recount: bool = False
    ) -> tuple[MailUsage, Quota]:
        """Return how much mail `owner` has, and the quota that applies.

        With `recount`, nothing that was remembered is used. Raises StoreError.
        """


@runtime_checkable
class SharesQuota(Protocol):
    """A store in which the spam of an account may count for the quota of its other mail."""

    def shares_quota(self, junk: str) -> bool:
        """Return whether a junk maildrop has the quota of its account, not one of its own."""
