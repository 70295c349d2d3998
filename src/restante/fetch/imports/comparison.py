"""Which messages of a server a program has fetched."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


@dataclass(frozen=True, slots=True)
class Comparison:
    """The state of a program beside what the server lists now.

    Attributes:
        fetched: unique-ids of the server that the program has fetched, and when each was first
            seen: seconds since 1970, or None.
        gone: entries of the program that the server does not list, as the program writes them.
            They are kept: a server may list only a part of the mail.
        new: unique-ids that the program does not know. They will be fetched.
        ambiguous: unique-ids among `new` that an entry may or may not stand for.
    """

    fetched: dict[str, int | None]
    gone: dict[str, int | None]
    new: list[str]
    ambiguous: list[str]


def compare(
    known: Mapping[str, int | None], listed: Iterable[str], map_uid: Callable[[str], str]
) -> Comparison:
    """Compare the entries of a program with the unique-ids that the server lists, in its order.

    If two messages have one unique-id as the program writes it, neither counts as fetched: a
    double is better than a loss.
    """
    written = [(uid, map_uid(uid)) for uid in listed]
    counts = Counter(entry for _, entry in written)
    fetched, new, ambiguous = {}, [], []
    for uid, entry in written:
        if entry in known and counts[entry] == 1:
            fetched[uid] = known[entry]
            continue
        new.append(uid)
        if entry in known:
            ambiguous.append(uid)
    gone = {entry: seen for entry, seen in known.items() if entry not in counts}
    return Comparison(fetched, gone, new, ambiguous)
