"""Bounds of each client, in POP3 and in delivery: one client cannot hold up the others."""

from __future__ import annotations

# Time slices: one packet can hold a thousand commands, and one loop serves all clients. A slice is
# longer than nearly every batch takes, so that it costs nothing, and short beside what a client
# notices. What a client has sent beyond it comes after the commands of the others.
TIME_SLICE = 0.01  # seconds

MAX_UNREAD = 64 * 1024  # octets of a client that wait; beyond it the server reads no more

LINGER = 2  # seconds for a client to read why the server hangs up
