"""The catalogue: faults as data, by the stage of a session.

`connect`, `encryption`, `capabilities`, `login`, `sasl`, `listing`, `messages` and `deletion` are
these stages; `replies` are faults of any reply. `row` is how a row is written: what the server
does, what a good client does, and which verdict `pop3 check` gives.

Always: a new fault is a new row, and nothing else. Tests, the reference and the score read it.
"""

from __future__ import annotations

from restante.misbehave.catalogue.capabilities import CAPABILITIES
from restante.misbehave.catalogue.connect import CONNECT
from restante.misbehave.catalogue.deletion import DELETION
from restante.misbehave.catalogue.encryption import ENCRYPTION
from restante.misbehave.catalogue.listing import LISTING
from restante.misbehave.catalogue.login import LOGIN
from restante.misbehave.catalogue.messages import MESSAGES
from restante.misbehave.catalogue.replies import REPLIES
from restante.misbehave.catalogue.sasl import SASL

STAGES = {
    "Connection and greeting": CONNECT,
    "Capabilities": CAPABILITIES,
    "TLS and STLS": ENCRYPTION,
    "Login": LOGIN,
    "AUTH": SASL,
    "Lists": LISTING,
    "Messages": MESSAGES,
    "Removal": DELETION,
    "Any reply": REPLIES,
}
"""The rows by the stage of a session, in its order."""

ROWS = tuple(row for rows in STAGES.values() for row in rows)
