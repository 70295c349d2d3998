"""The command of `notify`: it runs after a run that brought new mail, or changed its outcome."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from restante.fetch.destinations.commands import run_command
from restante.fetch.interfaces import DestinationUnavailableError
from restante.user_commands import split_command

if TYPE_CHECKING:
    from restante.fetch.events import RunSummary

SECONDS = 60.0  # that the command may take

FINE = ("ok", "parked")  # outcomes of runs that came to their end


def notify(command: str, account: str, summary: RunSummary, before: str | None, now: str) -> str:
    """Run the command if there is something to say, and return what was wrong with it, or "".

    `before` and `now` are outcomes as the journal has them: "ok", "parked", or the id of an error.
    """
    changed = ((before or "ok") in FINE) != (now in FINE)
    if not summary.new and not changed:
        return ""
    environment = {
        "POP3_FETCH_ACCOUNT": account,
        "POP3_FETCH_NEW": str(summary.new),
        "POP3_FETCH_OCTETS": str(summary.octets),
        "POP3_FETCH_DELETED": str(summary.deleted),
        "POP3_FETCH_PARKED": str(len(summary.parked)),
        "POP3_FETCH_OUTCOME": now,
        "POP3_FETCH_OUTCOME_BEFORE": before or "",
    }
    try:
        argv = split_command(command)
        with open(os.devnull, "rb") as nothing:
            ended = run_command(argv, nothing.fileno(), SECONDS, environment)
    except (DestinationUnavailableError, ValueError) as error:
        return str(error)
    return "" if ended.code == 0 else f"the command {argv[0]} {ended}"
