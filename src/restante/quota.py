"""How much mail an account may have, and how much it has."""

from __future__ import annotations

from typing import NamedTuple

WARNINGS = (80, 95, 100)
"""The percentages of a quota whose crossing is logged."""


class MailUsage(NamedTuple):
    """How much mail there is.

    Attributes:
        octets: the sum of the sizes as stored.
        messages: how many there are.
    """

    octets: int
    messages: int

    def plus(self, octets: int, messages: int = 1) -> MailUsage:
        """Return the usage after a delivery of `octets`; negative numbers are a removal."""
        return MailUsage(self.octets + octets, self.messages + messages)


class Quota(NamedTuple):
    """The limits of an account.

    None stands for no limit. As the setting of an account, None stands for the server's default,
    and 0 for no limit.

    Attributes:
        octets: the most octets of all its mail, as stored.
        messages: the most messages.
    """

    octets: int | None = None
    messages: int | None = None

    @property
    def is_limited(self) -> bool:
        """Whether there is a limit."""
        return self.octets is not None or self.messages is not None

    def or_default(self, default: Quota) -> Quota:
        """Return the limits that apply to an account with this setting."""
        pairs = zip(self, default, strict=True)
        return Quota(*(general if own is None else own or None for own, general in pairs))

    def allows(self, usage: MailUsage) -> bool:
        """Return whether so much mail is within the limits."""
        pairs = zip(usage, self, strict=True)
        return all(limit is None or used <= limit for used, limit in pairs)

    def percent(self, usage: MailUsage) -> int:
        """Return how much of the limits is used: of octets or of messages, whichever is more."""
        pairs = zip(usage, self, strict=True)
        return max((used * 100 // limit for used, limit in pairs if limit), default=0)
