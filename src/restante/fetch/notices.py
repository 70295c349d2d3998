"""The warnings of a run."""

from __future__ import annotations

from restante.fetch.events import Notice


class Notices:
    """Warnings, of which the first one of each kind counts."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._waiting: list[Notice] = []

    def add(self, id: str, text: str) -> None:  # noqa: A002  # see RemoteError
        """Add a warning, unless the run has one with this id."""
        if id not in self._known:
            self._known.add(id)
            self._waiting.append(Notice(id, text))

    def take(self) -> list[Notice]:
        """Return the warnings since the last call, in their order."""
        taken, self._waiting = self._waiting, []
        return taken
