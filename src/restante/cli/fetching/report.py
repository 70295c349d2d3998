"""The output of `pop3 fetch`: lines for people, objects for programs."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

from restante.cli.output.terminal import plain
from restante.cli.output.units import fill
from restante.diagnosis import wording
from restante.fetch.events import DoubtSettled, MessageDelivered, MessageParked
from restante.fetch.journal_rows import NEVER, MessageState

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from restante.cli.fetching.account import FetchAccount
    from restante.cli.fetching.reader import InvalidAccount
    from restante.cli.fetching.runs import AccountResult
    from restante.fetch.events import FetchEvent
    from restante.fetch.journal_rows import AccountRuns, KnownMessage, UndeliveredMessage
    from restante.fetch.planner import Plan

MAX_LISTED = 10  # messages that are named one by one


def result_lines(result: AccountResult, width: int) -> Iterator[str]:
    """Yield the lines of one account; `width` is that of the longest name."""
    account, summary = result.account, result.summary
    name = fill(account.name, width)
    for text in result.prepared:
        yield plain(text)
    if result.ran and (not result.error or summary.new or summary.deleted):
        where = shown_destinations(account)
        new = f"{summary.new} new, {wording.octets(summary.octets)} -> {where}"
        deleted = f"{summary.deleted} deleted" if summary.deleted else ""
        seconds = f"{result.seconds:.1f} s"
        yield "  ".join([name, *filter(None, [f"{new:<50}", deleted, seconds])])
    for id_, text in result.notices.items():
        yield f"{'':{width}}  WARN {id_}  {plain(text)}"
    yield from _undelivered_lines(result.undelivered, width)
    if summary.waiting:
        count = wording.messages(len(summary.waiting))
        yield f"{'':{width}}  {count} parked before; --retry tries again at once"
    yield from _failure_lines(result, width)


def _failure_lines(result: AccountResult, width: int) -> Iterator[str]:
    if result.message:
        first, *others = result.message.split("\n")
        yield f"{fill(result.account.name, width)}  {first}"
        yield from others


def _undelivered_lines(undelivered: Sequence[UndeliveredMessage], width: int) -> Iterator[str]:
    now = time.time()
    for state, what in ((MessageState.PARKED, "parked"), (MessageState.TOO_LARGE, "too large")):
        rows = [row for row in undelivered if row.state is state]
        for row in rows[:MAX_LISTED]:
            yield f"{'':{width}}  {describe(row, now)}"
        if len(rows) > MAX_LISTED:
            yield f"{'':{width}}  and {len(rows) - MAX_LISTED} more are {what}"


def describe(row: UndeliveredMessage, now: float) -> str:
    """Return what a user recognizes a message by that stays at the server, and why it does."""
    what, why = "parked", row.reason
    if row.state is MessageState.TOO_LARGE:
        what, why = "too large", "see --max-size"
    since = f" since {wording.age(now - row.first_seen)}" if now - row.first_seen >= 60 else ""
    named = [f"uid {row.uid}", wording.octets(row.size)]
    named += [f'"{row.subject}"'] if row.subject else []
    sender = f" from {row.sender}" if row.sender else ""
    return plain(f"{what}{since}: {', '.join(named)}{sender}: {why}")


def _undelivered_object(row: UndeliveredMessage) -> dict[str, Any]:
    return {
        "uid": row.uid,
        "size": row.size,
        "from": row.sender,
        "subject": row.subject,
        "since": _local(row.first_seen),
    }


def result_object(result: AccountResult) -> dict[str, Any]:
    """Return the same for programs."""
    summary = result.summary
    rows = {row.uid: _undelivered_object(row) for row in result.undelivered}
    return {
        "account": result.account.name,
        "to": [shown_url(url) for url in result.account.destinations],
        "prepared": result.prepared,
        "new": summary.new,
        "octets": summary.octets,
        "deleted": summary.deleted,
        "in_doubt": summary.in_doubt,
        "parked": [
            {**rows.get(p.uid, {}), "uid": p.uid, "size": p.size, "reason": p.reason}
            for p in summary.parked
        ],
        "waiting": [message.uid for message in summary.waiting],
        "too_large": [
            {**rows.get(m.uid, {}), "uid": m.uid, "size": m.size} for m in summary.too_large
        ],
        "notices": result.notices,
        "seconds": round(result.seconds, 3),
        "error": result.error or None,
        "exit": result.code,
    }


def plan_object(result: AccountResult, plan: Plan) -> dict[str, Any]:
    """Return what a run would do, for programs."""
    return {
        "account": result.account.name,
        "fetch": [message._asdict() for message in plan.fetch],
        "delete": [message._asdict() for message in plan.delete],
        "waiting": [message._asdict() for message in plan.waiting],
        "too_large": [message._asdict() for message in plan.too_large],
        "error": result.error or None,
    }


def plan_lines(result: AccountResult, plan: Plan, width: int) -> Iterator[str]:
    """Yield what a run would do, or why it would fail."""
    if result.message:
        yield from _failure_lines(result, width)
        return
    octets = wording.octets(sum(message.size for message in plan.fetch))
    parts = [f"{wording.messages(len(plan.fetch))} to fetch, {octets}"]
    parts += [f"{len(plan.delete)} to delete"] if plan.delete else []
    parts += [f"{len(plan.waiting)} parked"] if plan.waiting else []
    parts += [f"{len(plan.too_large)} too large"] if plan.too_large else []
    yield f"{fill(result.account.name, width)}  {', '.join(parts)}"


def status_object(
    runs: AccountRuns,
    known: Mapping[str, KnownMessage],
    undelivered: Sequence[UndeliveredMessage],
) -> dict[str, Any]:
    """Return the state of an account in the journal."""
    states = [row.state for row in known.values()]
    return {
        "account": runs.name,
        "last_run": None if runs.last_run is None else _local(runs.last_run),
        "outcome": runs.outcome,
        "next_run": None if runs.next_run is None else _local(runs.next_run),
        **{state.value: states.count(state) for state in MessageState},
        "parked_messages": [
            {
                **_undelivered_object(row),
                "reason": row.reason,
                "next_try": _local(row.next_try) if row.next_try < NEVER else None,
            }
            for row in undelivered
            if row.state is MessageState.PARKED
        ],
        "too_large_messages": [
            _undelivered_object(row) for row in undelivered if row.state is MessageState.TOO_LARGE
        ],
    }


def _local(moment: float) -> str:
    return datetime.fromtimestamp(moment).astimezone().isoformat(timespec="seconds")


def status_lines(
    status: dict[str, Any], undelivered: Sequence[UndeliveredMessage], width: int
) -> Iterator[str]:
    """Yield the same for people."""
    yield f"{fill(status['account'], width)}  {_last_run(status)}"
    if status["next_run"]:
        yield f"{'':{width}}  {_next_run(status['next_run'], time.time())}"
    if status.get("sign_in_ends"):
        yield f"{'':{width}}  sign-in ends {plain(status['sign_in_ends'])}"
    yield from _undelivered_lines(undelivered, width)


def _last_run(status: dict[str, Any]) -> str:
    counts = [
        f"{status[state.value]} {state.value.replace('_', ' ')}"
        for state in (
            MessageState.HERE,
            MessageState.KNOWN,
            MessageState.ASKED,
            MessageState.PARKED,
            MessageState.TOO_LARGE,
            MessageState.PREPARED,
        )
        if status[state.value]
    ]
    if status["last_run"] is None:
        return "; ".join(["nothing was fetched yet", *filter(None, [", ".join(counts)])])
    since = time.time() - datetime.fromisoformat(status["last_run"]).timestamp()
    ended = f"last run {wording.age(max(0, since))} ago: {status['outcome']}"
    return f"{ended}; {', '.join(counts) or 'no messages at the server'}"


def _next_run(moment: str, now: float) -> str:
    """Return when the next run begins. One that is overdue shows that its program has ended."""
    left = datetime.fromisoformat(moment).timestamp() - now
    if left >= 0:
        return f"next run in {wording.age(left)}"
    return f"next run was due {wording.age(-left)} ago"


def event_line(event: FetchEvent) -> str:
    """Return a line of --verbose."""
    match event:
        case MessageDelivered():
            return f"* {plain(event.uid)}: {event.octets} octets in {event.seconds:.3f} s"
        case MessageParked():
            return f"* {plain(event.uid)}: parked: {plain(event.reason)}"
        case DoubtSettled():
            return f"* {plain(event.uid)}: {event.outcome} at {shown_url(event.destination)}"
        case _:
            return f"* {plain(str(event))}"


def shown_destinations(account: FetchAccount | InvalidAccount) -> str:
    """Return the destinations of an account without their settings."""
    return ", ".join(map(shown_url, account.destinations))


def shown_url(url: str) -> str:
    """Return a destination without its settings."""
    return plain(url.partition("?")[0])
