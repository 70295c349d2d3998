"""Limits of mail, and what they allow."""

from __future__ import annotations

from restante.quota import MailUsage, Quota


def test_default() -> None:
    """An account's own limit replaces the default, and 0 stands for no limit."""
    assert Quota(None, 5).or_default(Quota(100, 9)) == Quota(100, 5)
    assert Quota(0, 0).or_default(Quota(100, 9)) == Quota(None, None)


def test_allowed() -> None:
    """Mail up to each limit is allowed, and not one octet or message more."""
    quota = Quota(100, 2)
    assert quota.allows(MailUsage(100, 2))
    assert not quota.allows(MailUsage(101, 1))
    assert not quota.allows(MailUsage(1, 3))
    assert Quota().allows(MailUsage(10**15, 10**9))


def test_percent() -> None:
    """The percentage is that of the limit which is reached first."""
    assert Quota(100, 10).percent(MailUsage(20, 9)) == 90
    assert Quota().percent(MailUsage(20, 9)) == 0
