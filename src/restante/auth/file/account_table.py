"""The accounts of a file, with all that logins derive from them, once for each reading."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from restante.auth.file import passwd_file
from restante.auth.interfaces import PASSWORDS
from restante.auth.passwords import scram

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from pathlib import Path

    from restante.auth.file.passwd_entry import PasswdEntry

NO_KEY = (
    "it has no line #decoys=, so SCRAM replies to unknown names change at each restart, which "
    "reveals the names of accounts; `pop3 user passwd` adds the line"
)


@dataclass(frozen=True, slots=True)
class PasswdTable:
    """All that logins need of a file of accounts. It never changes.

    Attributes:
        hashes: those of all accounts, to check in place of those of unknown names.
        useless: names whose lines were left out.
        key: the key of fake data for unknown names, if the file has one.
        cut: the name in a last line without an end, which was left out; None if there is none.
        faults: what is wrong with the file, in words.
        mechanisms: those that every account can use.
        mechanisms_any: those that at least one account can use.
        scram_parameters: those of all keys, by mechanism.
    """

    by_name: dict[str, PasswdEntry] = field(default_factory=dict)
    in_lower_case: dict[str, PasswdEntry] = field(default_factory=dict)
    hashes: tuple[str, ...] = ()
    useless: frozenset[str] = frozenset()
    key: bytes | None = None
    cut: str | None = None
    faults: tuple[str, ...] = ()
    mechanisms: frozenset[str] = PASSWORDS
    mechanisms_any: frozenset[str] = PASSWORDS
    scram_parameters: Mapping[str, set[scram.ScramParameters]] = field(default_factory=dict)
    longest_login_delay: int | None = None  # seconds, of accounts that have their own
    shortest_expire_days: int | None = None  # the same


def read_table(
    path: Path,
    doubts: Callable[[Collection[PasswdEntry]], Iterable[str]] = lambda _: (),
    *,
    trust_last_line: bool = True,
) -> PasswdTable:
    """Read a file of accounts. With thousands of them it takes long. Raises OSError.

    `doubts` yields warnings of accounts whose lines may have no effect. For `trust_last_line`, see
    `passwd_file.read`.
    """
    file = passwd_file.read(path, trust_last_line=trust_last_line)
    entries = file.by_name.values()
    unlocked = [entry for entry in entries if not entry.lock]
    parameters = {
        mechanism: {scram.ScramParameters.from_keys(entry.scram[mechanism]) for entry in with_keys}
        for mechanism in scram.HASHES
        if (with_keys := [entry for entry in entries if mechanism in entry.scram])
    }
    no_key = [NO_KEY] if parameters and not file.key and file.cut is None else []
    faults = [f"{path}: {fault}" for fault in (*no_key, *doubts(entries))]
    by_all = [
        name for name in scram.HASHES if unlocked and all(name in entry.scram for entry in unlocked)
    ]
    return PasswdTable(
        by_name=file.by_name,
        in_lower_case={name.lower(): entry for name, entry in file.by_name.items()},
        hashes=tuple(entry.hash for entry in entries if entry.hash),
        useless=file.useless,
        key=file.key,
        cut=file.cut,
        faults=(*faults, *file.problems),
        mechanisms=PASSWORDS.union(by_all),
        mechanisms_any=PASSWORDS.union(parameters),
        scram_parameters=parameters,
        longest_login_delay=max(
            (entry.login_delay for entry in entries if entry.login_delay is not None), default=None
        ),
        shortest_expire_days=min(
            (entry.expire_days for entry in entries if entry.expire_days is not None), default=None
        ),
    )
