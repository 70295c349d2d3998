"""The phases of a connection, and the effect of each event in each phase."""

from __future__ import annotations

from enum import Enum, auto


class ConnectionPhase(Enum):
    """Where a connection stands. It is in one phase at a time.

    PROXY      waits for the PROXY header
    HANDSHAKE  waits for the client's TLS handshake, before the greeting or after STLS
    COMMAND    waits for a line from the client
    BLOCKED    waits until the client has read the replies before; then the next line's turn comes
    QUEUED     has a line, but its time slice is over: the commands of other clients go first
    WORKING    waits for a task that fulfils a need of the session
    CLOSING    sends what is left to send; nothing more is read or done
    LOST       the client is gone; a task goes on, because it must not be cut off
    CLOSED     nothing is left

    Each event calls one method of `Connection`: data_received, eof_received, pause_writing,
    resume_writing, on_timeout, on_turn, the end of the task, stop, abort and connection_lost. A
    cell says what it does, or which phase is next:

    event     PROXY      HANDSHAKE  COMMAND    BLOCKED    QUEUED     WORKING    CLOSING    LOST
    --------  ---------  ---------  ---------  ---------  ---------  ---------  ---------  ---------
    data      decode     decode     run        keep       keep       keep       drop       -
    eof       CLOSING    CLOSING    CLOSING    note       note       note       close      -
    full      -          wait       BLOCKED    -          wait       wait       wait       -
    writable  -          wait       -          run        wait       wait       wait       -
    timeout   CLOSING    CLOSING    CLOSING    patience   nothing    patience   patience   -
    turn      -          -          -          -          run        -          nothing    -
    result    -          -          -          -          -          run        drop       CLOSED
    stop      CLOSING    CLOSING    CLOSING    note       note       note       nothing    nothing
    abort     CLOSING    CLOSING    CLOSING    CLOSING    CLOSING    CLOSING    CLOSING    nothing
    lost      CLOSED     CLOSED     CLOSED     CLOSED     CLOSED     LOST       CLOSED     -

    run       the session goes on until it must wait again: COMMAND, BLOCKED, QUEUED, WORKING,
              HANDSHAKE (after STLS) or CLOSING (the session is over, or a note says so)
    decode    the header or the handshake goes on; once it is whole, the session begins or goes on
    keep      the octets wait for their turn; beyond 64 KiB the server reads no more
    note      the phase stays; the session ends when it next waits for a line
    patience  the phase stays if the client reads, or the task sends; else CLOSING
    wait      the phase stays; the time for the client to read begins or ends
    nothing   the phase stays
    drop      the phase stays; what came is thrown away, and a message is closed
    close     the phase stays; the transport closes
    -         cannot come

    Two cells are not as simple as that. A removal has no time limit: `timeout` in WORKING does
    nothing to it. And a connection that is CLOSING with a task under way becomes LOST, not CLOSED.
    """

    PROXY = auto()
    HANDSHAKE = auto()
    COMMAND = auto()
    BLOCKED = auto()
    QUEUED = auto()
    WORKING = auto()
    CLOSING = auto()
    LOST = auto()
    CLOSED = auto()


PROXY, HANDSHAKE, COMMAND, BLOCKED, QUEUED, WORKING, CLOSING, LOST, CLOSED = ConnectionPhase
"""The phases as names of this module, which Python finds five times as fast as in the Enum."""

IDLE = frozenset({PROXY, HANDSHAKE, COMMAND})
"""Phases in which the server waits for the client, and no work is under way."""

ENDING = frozenset({CLOSING, LOST, CLOSED})
"""Phases of a session that is over."""
