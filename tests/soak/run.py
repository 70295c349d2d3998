"""Soaks `pop3 serve`: make soak, or run.py --clients 2000 --minutes 5.

Prints what the server holds every few seconds, then how it ended. Exits with 1 where memory grew,
or mail, locks or descriptors are not as they should be.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from soak.soaking import Soak, median, soaking
from soak.watch import HEAD, MIB, Sample

WARM_UP = 120  # seconds of a first wave, which fills what is kept on purpose
HOLD = 60  # seconds that a client may take over what needs no time
PATIENCE = 30  # seconds that the server waits for a login
GROWTH = 0.1  # of the memory with the crowd there, between the wave's first third and its last
SLACK = 16 * MIB


def main() -> int:
    """Soak as the command line says."""
    parser = argparse.ArgumentParser(description="Soak pop3 serve with clients of all kinds.")
    parser.add_argument("--clients", type=int, default=2800)
    parser.add_argument("--minutes", type=float, default=5)
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        soaking(Path(folder), given.clients, HOLD, PATIENCE) as soak,
    ):
        print(HEAD)
        print(soak.before, "nobody has come yet")
        soak.wave(WARM_UP, kills=2, pause=5, on_sample=_show)
        seconds = given.minutes * 60
        between = 3 * HOLD  # seconds between two kills of a process, so that slow clients finish
        kills = min(20, int(len(soak.crowds) * seconds / between))
        samples = soak.wave(seconds, kills, pause=5, on_sample=_show)
        return _judge(soak, samples)


def _show(sample: Sample) -> None:
    print(sample, flush=True)


def _judge(soak: Soak, samples: list[Sample]) -> int:
    third = max(1, len(samples) // 3)
    early, late = median(samples[third // 3 : third]), median(samples[-third:])
    first, last = soak.rested[0].resident, soak.rested[-1].resident
    account = soak.account()
    print("\nwhat clients did:")
    for kind, count in sorted(account.sessions.items()):
        print(f"{count:>9}  {kind}")
    print(f"{sum(account.sessions.values()):>9}  together")
    sockets = max(sample.sockets for sample in samples)
    removed = sum(map(len, account.removed.values()))
    print(f"\nsockets at most: {sockets}")
    print(f"MiB with clients: {early / MIB:.1f} in the first third, {late / MIB:.1f} in the last")
    print(f"MiB with nobody: {first / MIB:.1f} after the first wave, {last / MIB:.1f} at the end")
    print(f"descriptors: {soak.before.descriptors}, {soak.rested[-1].descriptors} at the end")
    print(f"messages: {sum(map(len, account.delivered.values()))}, {removed} removed")
    wrongs = soak.wrongs()
    if late > early * (1 + GROWTH) + SLACK or last > first * (1 + GROWTH) + SLACK:
        wrongs.append("memory grew")
    for wrong in wrongs[:50]:
        print("WRONG:", wrong)
    print(f"{len(wrongs)} wrongs" if wrongs else "nothing lost, nothing locked, nothing left open")
    return 1 if wrongs else 0


if __name__ == "__main__":
    sys.exit(main())
