"""One try of `pop3 expire` with a fault at one of its requests."""

from __future__ import annotations

from faults.cluster.bench import Bench, stored
from faults.cluster.proxy import KILLS, Met, Plan
from faults.cluster.scenarios import Expiry
from faults.cluster.trial import begin, check_end, check_restoration, check_rows, do_with_fault
from faults.keeping import check_kept
from faults.promise import hold


def try_expiry(bench: Bench, scenario: Expiry, plan: Plan) -> list[Met]:
    """Expire messages while something happens, and once more. Raises BreachError."""
    owner = begin(bench, scenario)
    messages = [stored(owner, message) for message in scenario.messages]
    old = messages[: scenario.old]
    bench.age(owner, scenario.old)
    outcome: list[tuple[int, str]] = []

    def expire() -> None:
        outcome.append(bench.command("expire", node=bench.expirer))

    def left() -> list[bytes]:
        """Return what is there. Raises BreachError: another message is gone."""
        there = [row.content for row in check_rows(bench, owner)]
        kept = [row.content for row in bench.kept(owner)]
        check_kept(messages, there, kept)
        hold(not set(there) & set(kept), "a message is there, and kept too")
        hold(set(messages[scenario.old :]) <= set(there), "a message has expired that was not old")
        return there

    do_with_fault(bench, plan, [expire], lambda: None)
    code, text = outcome[0]
    there = left()
    killed = any(met.fault in KILLS for met in bench.journal)
    hold(killed or code in (0, 1), f"the command ended with {code}: {text}")
    hold(text.count(": removed: ") <= len(set(old) - set(there)), f"it is not true: {text}")

    def expires() -> bool:
        """Expire again; the lease of a killed command may still hold the maildrop."""
        expire()
        return not set(old) & set(left())

    bench.wait_until(expires, "old messages do not expire")
    check_restoration(bench, owner, messages, left())
    expire()
    hold(set(left()) == set(messages), "a restored message expires at once")
    check_end(bench, owner, {})
    return bench.journal
