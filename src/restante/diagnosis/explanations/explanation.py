"""The form of an explanation."""

from __future__ import annotations

from typing import NamedTuple


class Explanation(NamedTuple):
    """The text of an id: the verdict, the cause, and what administrators and users can do.

    Attributes:
        id: its name.
        exit: the exit code of `pop3 check` for it, as a failure; a warning's is 1.
        verdict: one sentence, the true cause first.
        why: sentences about the cause or the effect.
        admin: what the server's administrator can do, "" for nothing.
        you: what the owner of the account can do, "" for nothing.
        more: a paragraph for `pop3 explain`.
    """

    id: str
    exit: int
    verdict: str
    why: str
    admin: str = ""
    you: str = ""
    more: str = ""
