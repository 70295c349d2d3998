"""The catalogue: faults as data, by the stage of a session.

A row says what the server does, what a good client does, and which verdict `pop3 check` gives. A
new fault is a new row; tests, the reference and the score read it.
"""

from __future__ import annotations

from restante.misbehave.catalogue.connect import CONNECT
from restante.misbehave.catalogue.messages import MESSAGES

ROWS = (*CONNECT, *MESSAGES)
