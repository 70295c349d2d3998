"""The line of an account in `pop3 user list`."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from restante.cli.output.terminal import plain
from restante.cli.output.units import fill
from restante.protocol.text import to_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from restante.auth.file.passwd_entry import PasswdEntry

Form: TypeAlias = Literal["text", "names", "json"]

ADMINISTRATOR = "the administrator"
"""The source of a lock in the tables of a cluster."""

WIDEST_NAME = 40  # columns: a longer name moves its own details only


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSummary:
    """An account without its secrets."""

    name: str
    locked: str | None = None  # the source of its lock, None for an account that can log in
    expires: str | None = None  # the day
    scram: tuple[str, ...] = ()  # mechanisms that it has keys for
    secret: bool = False  # for APOP and CRAM-MD5
    tls_required: bool = False
    networks: tuple[str, ...] = ()  # from where it can log in, () for everywhere
    app_passwords: tuple[str, ...] = ()  # their labels
    login_delay: int | None = None  # seconds
    expire_days: int | None = None
    has_account: bool = True  # False for a lock alone, such as that of another node

    @classmethod
    def from_entry(
        cls, entry: PasswdEntry, app_passwords: Iterable[str], *, listed: str = ""
    ) -> AccountSummary:
        """Return the summary of a line of the accounts file; `listed`: what else locks it."""
        end = None if entry.end is None else time.strftime("%Y-%m-%d", time.gmtime(entry.end))
        return cls(
            name=entry.name,
            locked=listed or entry.lock_reason(time.time()).removeprefix("locked by ") or None,
            expires=end,
            scram=tuple(entry.scram),
            secret=entry.secret is not None,
            tls_required=entry.tls_required,
            networks=entry.networks,
            app_passwords=tuple(app_passwords),
            login_delay=entry.login_delay,
            expire_days=entry.expire_days,
        )

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> AccountSummary:
        """Return the summary of a row in the table of a cluster."""
        return cls(
            name=row["name"],
            locked=ADMINISTRATOR if row["locked"] else None,
            app_passwords=tuple(row["labels"]),
            login_delay=row["login_delay"],
            expire_days=row["expire_days"],
        )

    def details(self) -> Iterator[str]:
        """Yield in words what distinguishes the account from one with a password only."""
        yield from self.restrictions()
        if self.scram:
            yield "SCRAM"
        if self.secret:
            yield "secret"
        if self.app_passwords:
            yield f"app passwords: {', '.join(map(plain, self.app_passwords))}"
        if self.login_delay is not None:
            yield f"login delay {self.login_delay} s"
        if self.expire_days is not None:
            yield f"mail expires after {self.expire_days} days"

    def restrictions(self) -> Iterator[str]:
        """Yield in words what keeps the account, or some clients, from logging in."""
        if self.locked == "expired":
            yield f"expired on {self.expires}"
        elif self.locked:
            yield f"locked by {self.locked}"
        elif self.expires:
            yield f"expires on {self.expires}"
        if not self.has_account:
            yield "no account here"
        if self.tls_required:
            yield "TLS required"
        if self.networks:
            yield f"only from {' '.join(self.networks)}"


def write_lines(accounts: Iterable[AccountSummary], form: Form, width: int = 0) -> Iterator[str]:
    """Yield a line for each account. In a text, its name has `width` columns."""
    for account in accounts:
        match form:
            case "json":
                yield to_json(asdict(account))
            case "names":
                yield plain(account.name)
            case "text":
                name = fill(account.name, width)
                yield f"{name}  {', '.join(account.details())}".rstrip()
