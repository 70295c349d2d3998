"""The faults that are switched on, for sessions that begin from now on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from restante.developer.feed import EventFeed
    from restante.misbehave.conversation import Alteration


class FaultSwitch:
    """The faults of a server. Any thread may switch them."""

    def __init__(self, feed: EventFeed) -> None:
        self._feed = feed
        self._now: tuple[str, Alteration] | None = None

    @property
    def on(self) -> list[str]:
        """The faults that are on, each as it was written."""
        return self._now[0].split(" + ") if self._now else []

    def set(self, texts: Sequence[str]) -> None:
        """Switch on these faults and no others. Raises ValueError: one is not known.

        A text is the name of a fault, a rule, or a sum such as "uidl-none+retr-cut".
        """
        from restante.misbehave import find
        from restante.misbehave.conversation import add

        found = [find(text) for text in texts]
        with self._feed.lock:
            all_of_them = add(*(fault.conversation for fault in found))
            self._now = (" + ".join(texts), all_of_them) if found else None
            self._feed.publish("faults", on=list(texts))

    def current(self) -> tuple[str, Alteration]:
        """Return the faults that are on, as one text, "" for none, and their function."""
        from restante.misbehave.conversation import leave_alone

        return self._now or ("", leave_alone)
