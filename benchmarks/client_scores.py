"""How mail programs behave at servers with one thing wrong: make client-scores.

Each program fetches all mail into a Maildir and deletes it, at every fault of `pop3 misbehave`. The
result goes into docs/reference/client-scores.md. A program that is not installed is left out.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from restante.misbehave import FAULTS
from restante.misbehave.score.client_process import Limits
from restante.misbehave.score.judge import VERDICTS
from restante.misbehave.score.runner import ScoreRun
from support.mail_programs import MAIL_PROGRAMS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from restante.misbehave.score.judge import Verdict
    from restante.misbehave.score.runner import Card
    from support.mail_programs import MailProgram

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "client-scores.md"
LIMITS = Limits(seconds=20)
JOBS = 4


def main() -> None:
    """Run all, and write the page, unless one of the installed programs cannot fetch at all."""
    cards: list[tuple[MailProgram, str, Card]] = []
    problems: list[str] = []
    for client in MAIL_PROGRAMS:
        if not client.is_installed():
            print(f"{client.name}: not installed", flush=True)
            continue
        line = client.read_version()
        print(f"{client.name}: {line}", flush=True)
        try:
            card = asyncio.run(ScoreRun(client.command, LIMITS, JOBS).run(FAULTS.values()))
        except ValueError as error:
            print(f"  {error}", flush=True)
            problems.append(f"{client.name}: {error}")
            continue
        print(f"  {card.clean} of {len(card.outcomes)} clean", flush=True)
        cards.append((client, line, card))
    if problems:
        sys.exit("\n".join(("The page was not written.", *problems)))
    PAGE.write_text(page(cards))


def page(cards: Sequence[tuple[MailProgram, str, Card]]) -> str:
    """Return the page."""
    shown: list[Verdict] = [verdict for verdict in VERDICTS if verdict != "clean"]
    rows = "\n".join(
        f"| {client.name} | {card.clean} of {len(card.outcomes)} | "
        + " | ".join(str(card.count(verdict) or "") for verdict in shown)
        + f" | {len(card.skipped) or ''} |"
        for client, _, card in cards
    )
    versions = "\n".join(f"- {client.name}: {line}" for client, line, _ in cards)
    details = "\n\n".join(_details(client, card) for client, _, card in cards)
    meanings = "\n".join(f"| {verdict} | {text} |" for verdict, text in VERDICTS.items())
    return f"""<!-- Written by make client-scores. -->

# How mail programs do

Each program fetched two messages into a Maildir and deleted them, at each of the {len(FAULTS)}
servers that [`pop3 misbehave`](misbehaviours.md) had when this was measured. The time limit was
{LIMITS.seconds:.0f} seconds, and 4 seconds for a reply. `pop3 misbehave score` judges what a run
leaves behind, by its worst verdict. Measured on {datetime.now(UTC).date()}, on a machine with
other work, with

    make client-scores

{versions}

| program | clean | {" | ".join(shown)} | not run |
|---|---|{"---|" * (len(shown) + 1)}
{rows}

"Not run" are faults of TLS that the program does not support. A script is as good as its lines:
they are in `tests/support/mail_programs.py`. mutt runs in a terminal, where it shows errors and
asks about certificates. mutt and fdm exited with 0 in all runs that ended, so SILENT means less for
them. Each verdict is that of one run. If it depends on the moment, another run can have another
verdict: node-pop3 at `drip-all`, fetchmail at `retr-lone-dot` and Net::POP3 at `stls-closed` had
two. `pop3 fetch` and the library run at the same faults in the project's tests (`make
client-faults`). The tests compare a sample of this page with the programs.

| verdict | meaning |
|---|---|
{meanings}

Each row below can be repeated: `pop3 misbehave FAULT` serves that fault, and `pop3 explain FAULT`
describes it.

{details}
"""


def _details(client: MailProgram, card: Card) -> str:
    rows = "\n".join(
        f"| `{outcome.fault.name}` | {outcome.verdict} | {outcome.detail} |".replace("\n", " ")
        for outcome in card.outcomes
        if outcome.findings
    )
    return f"""## {client.name}

| fault | verdict | what happened |
|---|---|---|
{rows}"""


if __name__ == "__main__":
    main()
