"""The checks of `pop3 verify` that need no waiting, for tests that are about something else."""

from __future__ import annotations

from restante.conformance.suite import CHECKS

_SLOW = {
    "locked",
    "locked_code",
    "overlong",
    "lone_cr_in_command",
    "injection",
    "hung_up",
    "removed",
    "not_reused",
}
QUICK = [check for check in CHECKS if check.name not in _SLOW]
