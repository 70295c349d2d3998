"""The address of the client that a task serves, for sources of accounts that log or restrict it.

It is a context variable, since a source may be inside another one, such as that of app passwords,
which does not use it.
"""

from __future__ import annotations

from contextvars import ContextVar

CLIENT_ADDRESS: ContextVar[str] = ContextVar("client_address", default="")
"""An IP address, without a port; "" where it is not known."""
