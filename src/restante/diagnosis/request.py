"""The request for a check."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from restante.client.options import Options

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from restante.client.discovery.lookup import OtherDomainError
    from restante.client.options import Target
    from restante.client.token_source import TokenSource
    from restante.diagnosis.report import Step

TOTAL = 60.0  # seconds for a whole check
DEEP_RATE = 50_000  # octets a second: what --deep adds to the time for each message
MAX_DEEP = 3600.0  # seconds that it adds at most, whatever LIST says
DEEP_TURN = 0.5  # seconds that it adds besides: to ask and be answered from far away
SLOW = {"connect": 2.0, "tls": 3.0, "greeting": 5.0, "login": 5.0, "mailbox": 10.0}


@dataclass(slots=True, eq=False)
class CheckRequest:
    """An account, and how much of it to check.

    Attributes:
        account: as the user typed it.
        target: its server; None: discover the server.
        options: how to connect; its total time is the check's.
        password: called only when it is required; None means no login (`probe`).
        password_named: the user said where the password is. Otherwise `password` asks a person.
        can_ask: there is a person to ask.
        auth: gives OAuth 2 tokens in place of the password; `options.token` is true then.
        deep: fetch every message and compare it with what was promised.
        limited: the user has set the total time, so a deep check gets no more of it.
        trust: the context that judges a certificate if `verify` is false.
        verify: an invalid certificate ends the check; otherwise it is a warning.
        guess: find out how the port uses TLS: the user did not say, and the port is unusual.
        wait: seconds to wait for a locked maildrop.
        sample: how many of the newest messages to read by TOP.
        warn_expiring: warn of a certificate that expires soon.
        flags: options that a suggested command repeats, in addition to those in `options`.
        slow: seconds for each phase; warn if it takes longer.
        confirm: asks the user to confirm a server of another domain; None: not asked.
        on_step: called with each step when it is done.
    """

    account: str
    target: Target | None = None
    options: Options = field(default_factory=lambda: Options(total_seconds=TOTAL))
    password: Callable[[], str] | None = None
    password_named: bool = True
    can_ask: bool = True
    auth: TokenSource | None = None
    deep: bool = False
    limited: bool = False
    verify: bool = True
    trust: ssl.SSLContext | None = None
    guess: bool = False
    wait: float = 0
    sample: int = 3
    warn_expiring: bool = True
    flags: tuple[str, ...] = ()
    slow: dict[str, float] = field(default_factory=lambda: dict(SLOW))
    confirm: Callable[[OtherDomainError], bool] | None = None
    on_step: Callable[[Step], object] = lambda _: None
