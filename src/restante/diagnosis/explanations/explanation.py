"""The form of an explanation."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Explanation:
    """What an id means: the verdict, the cause, and what to do by whom.

    Attributes:
        id: its name.
        exit: the exit code of `pop3 check` for it, as a failure; a warning's is 1.
        verdict: one sentence, the true cause first.
        why: what it leads to, or what is behind it.
        admin: what who runs the server can do, "" for nothing.
        you: what who has the account can do, "" for nothing.
        more: a paragraph for `pop3 explain`.
    """

    id: str
    exit: int
    verdict: str
    why: str
    admin: str = ""
    you: str = ""
    more: str = ""
