"""Ends our half of a connection, whatever became of the other half."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio


def half_close(transport: asyncio.Transport) -> None:
    """Send what is left and no more after it; the client can still read, and send.

    A client that has reset the connection cannot: the connection is aborted. asyncio's own event
    loop raises OSError then, and uvloop does not.
    """
    try:
        transport.write_eof()
    except OSError:  # ENOTCONN: the reset has come, and the loop has not read it yet
        transport.abort()
