"""When a certificate ends soon: one rule for the server's log and the toolbox's report."""

from __future__ import annotations

import datetime as dt
from typing import Final

SOON: Final = dt.timedelta(days=14)


def ends_soon(begins: dt.datetime, ends: dt.datetime, now: dt.datetime) -> bool:
    """Return whether a certificate that is still valid should have been renewed by now.

    That is the case in the last 14 days, or in the last third of its life if that is shorter.
    ACME clients renew when a third of the life is left, and some certificates live six days only.
    """
    return dt.timedelta(0) <= ends - now <= min(SOON, (ends - begins) / 3)
