"""The state in a URL of the page: which mailbox, search, message and conversation it shows."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

if TYPE_CHECKING:
    from collections.abc import Mapping

VIEWS = ("html", "text", "headers", "source", "parts", "links", "sessions")
"""The tabs of a message, in their order."""

PANES = ("mail", "message", "sessions", "session", "faults")
"""The panes, of which a narrow window shows one."""

LONGEST = 1000  # characters of a value


@dataclass(frozen=True, slots=True)
class PageState:
    """The query of a URL. Each value is "" where the URL does not say it.

    Without `show`, a narrow window shows the message or the session that the URL names.
    """

    mailbox: str = ""
    q: str = ""
    removed: str = ""  # "1" shows what was removed
    message: str = ""
    view: str = ""
    session: str = ""
    show: str = "mail"

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> PageState:
        """Return what a query says; what is unknown is left out."""
        names = [field.name for field in dataclasses.fields(cls)]
        values = {name: query[name][:LONGEST] for name in names if query.get(name)}
        state = cls(**values)
        if query.get("show") not in PANES:
            state = dataclasses.replace(state, show=_find_pane(values))
        return state if state.view in ("", *VIEWS) else dataclasses.replace(state, view="")

    def url(self, **changes: str | int | None) -> str:
        """Return the URL of this state with some changes."""
        texts = {name: "" if value is None else str(value) for name, value in changes.items()}
        changed = dataclasses.asdict(dataclasses.replace(self, **texts))
        query = {name: value for name, value in changed.items() if value}
        if query.get("show") == "mail" == _find_pane(query):
            del query["show"]
        return f"/?{urlencode(query)}" if query else "/"


def _find_pane(query: Mapping[str, str]) -> str:
    """Return the pane of a URL that names none."""
    return next((name for name in ("message", "session") if query.get(name)), "mail")
