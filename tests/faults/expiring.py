"""One try of an expiry: old messages go, and nothing else, and they are kept if that is set."""

from __future__ import annotations

from collections.abc import Sequence

from faults.order import check_expiry
from faults.promise import Ledger, hold
from faults.scenarios import Expiry
from faults.shim import Call, Fault, Plan
from faults.trial import KILLS, Bench, check_end


def try_expiry(bench: Bench, scenario: Expiry, plan: Plan) -> list[Call]:
    """Expire messages while something befalls it, and once more. Raises BreachError."""
    ledger = bench.remove(scenario)
    due = bench.due(scenario)
    child = bench.child()
    bench.shim.plan(bench.root, plan)
    report = child.ask("expire")
    journal = bench.shim.journal()
    bench.shim.heal()
    check_expiry(journal, bench.box)
    lost = check_expired(bench, ledger, due)
    if report is not None:
        gone = {ledger.uids[message].decode() for message in lost}
        removed = set(report.get("expired", report.get("removed", [])))
        hold(removed == gone, f"{removed} were reported, {gone} are gone")
        unread = any(call.op == "stat" and call.fault is not Fault.NONE for call in journal)
        hold("error" in report or unread or len(gone) == len(due), "not all has expired")
    if any(call.fault in KILLS for call in journal):
        bench.drop()
        child = bench.child()
    check_end(child)
    bench.expire_all(due)
    bench.check_next_server(ledger.uids)
    return journal


def check_expired(bench: Bench, ledger: Ledger, due: Sequence[bytes]) -> set[bytes]:
    """Hold that only old messages are gone, and that these are kept; return them."""
    lost = set(ledger.messages) - set(bench.messages())
    hold(lost <= set(due), "a message has expired that was not old")
    bench.check_kept(ledger.messages)
    return lost
