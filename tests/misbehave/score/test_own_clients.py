"""Both faces of the library, and `pop3 fetch`, at the faults: what they leave behind is clean.

Each run is a process of its own. CI runs a sample; `make client-faults` runs them at every fault.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from restante.misbehave import FAULTS
from restante.misbehave.score.client_process import Limits
from restante.misbehave.score.runner import ScoreRun
from support.process import POP3

SAMPLE = 1 if "RESTANTE_ALL_FAULTS" in os.environ else 20  # the step through the faults
SECONDS = 240  # for a run: `pop3 fetch` asks for each of 200,000 messages that are not there

PLACE = ["{host}", "{port}", "{user}", "{password}", "{out}"]
PLACE += ["security={stls:stls}{tls:tls}", "cafile={cafile}"]

LIBRARY = [sys.executable, str(Path(__file__).parent / "library_client.py")]

FETCH = """
export POP3_PASSWORD="$4" XDG_STATE_HOME="$PWD/state"
scheme=pop3 cafile=${7#cafile=}
[ "$6" != security=tls ] || scheme=pop3s
[ "$6" != security=stls ] || more="--starttls --require-tls"
exec "$0" fetch "$scheme://$3@$1:$2" --to "maildir:$5" --delete --timeout 4 \
    ${cafile:+--cacert "$cafile"} $more
"""

CLIENTS = {
    "blocking": [*LIBRARY, "blocking", *PLACE],
    "asyncio": [*LIBRARY, "asyncio", *PLACE],
    "fetch": ["/bin/sh", "-c", FETCH, str(POP3), *PLACE],
}

UNSEEN_BY_ALL = {
    "retr-same": "no client can see it",
    "retr-short": "only the size by LIST shows it: the message is stored, and stays at the server",
}
LIBRARY_ONLY = {
    "list-endless": "the script asks for each of 200,000 messages, which takes minutes",
    "dele-renumbers": "it deletes message 1 before RETR 2, which is refused; the next run has it",
}
UNSEEN = {
    "blocking": UNSEEN_BY_ALL | LIBRARY_ONLY,
    "asyncio": UNSEEN_BY_ALL | LIBRARY_ONLY,
    "fetch": {
        **UNSEEN_BY_ALL,
        "retr-closed-after": "the reset loses message 1; the next session fetches message 2",
    },
}
"""Faults of which a client is not clean, and why."""


@pytest.mark.parametrize("client", CLIENTS)
def test_own_client_is_clean(client: str) -> None:
    """Nothing is lost, half kept, leaked or concealed."""
    faults = list(FAULTS.values())[::SAMPLE]
    run = ScoreRun(CLIENTS[client], Limits(seconds=SECONDS, memory=0), jobs=4)
    card = asyncio.run(run.run(faults))
    found = {
        outcome.fault.name: (outcome.verdict, outcome.detail)
        for outcome in card.outcomes
        if outcome.findings and outcome.fault.name not in UNSEEN[client]
    }
    assert found == {}
    assert len(card.outcomes) == len(faults)
