"""The phases of a connection of LMTP or SMTP, and the effect of each event in each phase."""

from __future__ import annotations

from enum import Enum, auto


class DeliveryPhase(Enum):
    """Where a connection stands. It is in one phase at a time.

    COMMAND     waits for a command from the client
    BLOCKED     waits until the client has read the replies before; then it goes on with COMMAND
    QUEUED      has a command, but its time slice is over: the commands of other clients go first
    MESSAGE     waits for the rest of a message
    RESOLVING   waits for a task that resolves a recipient
    DELIVERING  waits for a task that delivers a message; nothing cuts it off
    CLOSING     sends what is left to send; nothing more is read or done
    LOST        the client is gone; the delivery goes on
    CLOSED      nothing is left

    Each event calls one method of `DeliveryConnection`: data_received, eof_received, pause_writing,
    resume_writing, on_timeout, on_turn, the end of the task, stop, abort and connection_lost. A
    cell says what it does, or which phase is next:

    event     COMMAND  BLOCKED  QUEUED   MESSAGE  RESOLVING  DELIVERING  CLOSING  LOST
    --------  -------  -------  -------  -------  ---------  ----------  -------  ------
    data      run      keep     keep     run      keep       keep        drop     -
    eof       CLOSING  note     note     CLOSING  note       note        close    -
    full      BLOCKED  -        note     note     note       note        nothing  -
    writable  -        run      note     note     note       note        nothing  -
    timeout   CLOSING  CLOSING  nothing  CLOSING  nothing    nothing     close    -
    turn      -        -        run      -        -          -           nothing  -
    result    -        -        -        -        run        run         drop     CLOSED
    stop      CLOSING  CLOSING  CLOSING  CLOSING  CLOSING    note        close    -
    abort     CLOSING  CLOSING  CLOSING  CLOSING  CLOSING    CLOSING     CLOSING  -
    lost      CLOSED   CLOSED   CLOSED   CLOSED   CLOSED     LOST        CLOSED   -

    run       the session goes on until it must wait again: COMMAND, BLOCKED, QUEUED, MESSAGE,
              RESOLVING, DELIVERING or CLOSING (the session is over, or a note says so)
    keep      the octets wait for their turn; beyond 64 KiB the server reads no more
    note      the phase stays; the connection acts on it when it next waits for a command: it
              closes after eof and stop, and is BLOCKED while the client does not read
    nothing   the phase stays
    drop      the phase stays; what came is thrown away
    close     the phase stays; the transport closes

    One cell is not as simple as that: a connection that is CLOSING, because it was aborted, with a
    delivery under way becomes LOST, not CLOSED.
    """

    COMMAND = auto()
    BLOCKED = auto()
    QUEUED = auto()
    MESSAGE = auto()
    RESOLVING = auto()
    DELIVERING = auto()
    CLOSING = auto()
    LOST = auto()
    CLOSED = auto()


TIMED = frozenset({DeliveryPhase.COMMAND, DeliveryPhase.BLOCKED, DeliveryPhase.MESSAGE})
"""Phases in which the server waits for the client, but not for ever."""

AT_WORK = frozenset({DeliveryPhase.RESOLVING, DeliveryPhase.DELIVERING})
"""Phases in which the client waits for a task."""
