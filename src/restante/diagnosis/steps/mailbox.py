"""The maildrop: whether STAT, LIST and UIDL agree, and whether messages can be looked at."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

from restante.client import listing, maildrop
from restante.client.maildrop import MaildropState
from restante.client.messages import MessageTable
from restante.client.reply_sync import expect_silence
from restante.diagnosis import wording
from restante.mail import fields
from restante.protocol.client import operations
from restante.protocol.errors import RemoteError, ServerRefusedError
from restante.protocol.unique_id import is_valid_uid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from restante.diagnosis.context import CheckContext
    from restante.diagnosis.report import Step
    from restante.protocol.client.effects import T
    from restante.protocol.client.operations import MailboxTotals
    from restante.protocol.client.pipeline import Operation

CLOCKS_APART = 300  # seconds by which the clocks of servers differ


def inspect(check: CheckContext) -> MaildropState:
    """Request all lists, compare them, and read the headers of the newest messages."""
    with check.step("mailbox") as step:
        totals, sizes = _lists(check)
        uids, unlisted = _uids(check)
        warnings_before = len(check.report.warnings)
        _compare_totals(check, step, totals, sizes)
        _check_uids(check, step, sizes, uids, unlisted)
        box = MaildropState(check.session, MessageTable(sizes, uids))
        agree = len(check.report.warnings) == warnings_before
        newest = _sample(check, step, box)
        step.text = f"{wording.messages(len(sizes))}, {wording.octets(sum(sizes.values()))}"
        step.text += "; STAT, LIST and UIDL agree" if sizes and agree else ""
        step.text += f"; newest {wording.age(newest)} ago" if newest is not None else ""
        count, octets = len(sizes), sum(sizes.values())
        check.report.facts["mailbox"] = {"messages": count, "octets": octets, "newest": newest}
    return box


def _carry_out(check: CheckContext, operation: Operation[T]) -> T:
    return check.run(check.session.carry_out(operation))


def _lists(check: CheckContext) -> tuple[MailboxTotals, Mapping[int, int]]:
    """Return the results of STAT and LIST. Some servers reject them for an empty mailbox."""
    session = check.session
    try:
        totals = _carry_out(check, operations.stat())
    except ServerRefusedError as refused:
        if not listing.says_empty(refused):
            raise
        session.note_oddity(
            "list-empty", f'STAT is rejected for an empty mailbox: "{refused.text}"'
        )
        totals = operations.MailboxTotals(0, 0)
    try:
        return totals, _carry_out(check, operations.list_())
    except ServerRefusedError as refused:
        return totals, listing.empty_list(session, refused, totals)


def _uids(check: CheckContext) -> tuple[Mapping[int, str], str]:
    """Return the unique-ids, and what the server says where it refuses them."""
    try:
        return _carry_out(check, operations.uidl()), ""
    except ServerRefusedError as refused:
        return {}, f'UIDL is rejected: "{refused.said}"'


def _compare_totals(
    check: CheckContext, step: Step, totals: MailboxTotals, sizes: Mapping[int, int]
) -> None:
    count, octets = len(sizes), sum(sizes.values())
    if totals.messages == count and totals.octets == octets:
        return
    text = (
        f"STAT gives {wording.messages(totals.messages)} of {totals.octets} octets, "
        f"LIST {wording.messages(count)} of {octets}"
    )
    step.details.append(("warning", text))
    facts = {"stat": [totals.messages, totals.octets], "list": [count, octets]}
    check.warn(step, "stat-lie", text, facts)


def _check_uids(
    check: CheckContext, step: Step, sizes: Mapping[int, int], uids: Mapping[int, str], refusal: str
) -> None:
    if not sizes and not uids:
        return
    missing = [number for number in sizes if number not in uids]
    if missing:
        text = refusal or f"no unique-id for {wording.numbers(missing)}"
        _warn(check, step, "uidl-missing", text, missing)
    if omitted := listing.omitted_by_list(sizes, uids):
        _warn(check, step, "list-missing", omitted, sorted(uids.keys() - sizes.keys()))
    counts, session = Counter(filter(None, uids.values())), check.session
    twice = [number for number, uid in uids.items() if counts[uid] > 1]
    if twice:
        text = f"{wording.numbers(twice)} share the unique-id {session.redact(uids[twice[0]])}"
        _warn(check, step, "uidl-dup", text, twice)
    bad = [number for number, uid in uids.items() if not is_valid_uid(uid)]
    if bad:
        uid = uids[bad[0]]
        excerpt = session.excerpt(uid.encode(), 80)
        text = f"{wording.numbers(bad)}: {len(uid)} characters, {excerpt!r}"
        _warn(check, step, "uidl-bad", text, bad)


def _warn(check: CheckContext, step: Step, name: str, text: str, messages: list[int]) -> None:
    step.details.append(("warning", text))
    check.warn(step, name, text, {"messages": messages[:100]})


def _sample(check: CheckContext, step: Step, box: MaildropState) -> float | None:
    """Read the newest messages by TOP; return the age of the newest in seconds."""
    numbers = sorted(box.entries)[-check.request.sample :]
    if not numbers:
        return None
    heads = _heads(check, box, numbers)
    refused = [
        n for n, head in zip(numbers, heads, strict=True) if isinstance(head, ServerRefusedError)
    ]
    if refused:
        denied = next(head for head in heads if isinstance(head, ServerRefusedError))
        text = f'TOP is rejected for {wording.numbers(refused)}: "{denied.said}"'
        _warn(check, step, "top-missing", text, refused)
    ages = [_age(head) for head in heads if isinstance(head, bytes)]
    return min((age for age in ages if age is not None), default=None)


def _heads(
    check: CheckContext, box: MaildropState, numbers: list[int]
) -> list[bytes | ServerRefusedError]:
    """Return the heads of messages; one at a time, where replies could be counted wrongly."""
    session = box.session
    if session.can_pipeline:
        ahead = maildrop.headers(box, numbers, keep=fields.MAX_OCTETS)
        heads = check.connection.run(check.replies.track(session, ahead))
        check.connection.run(expect_silence(session))
        return heads
    heads = []
    for number in numbers:
        try:
            heads += check.run(maildrop.headers(box, [number], keep=fields.MAX_OCTETS))
        except RemoteError as error:
            error.others += [
                head.quoted for head in heads[-1:] if isinstance(head, ServerRefusedError)
            ]
            raise
    return heads


def _age(head: bytes) -> float | None:
    """Return how many seconds ago a message came, by its newest Received, else by its Date.

    One in the future gives no age: the message would be the newest for as long as it is there.
    """
    header = fields.split(head)
    received = header.first("Received").rpartition(b";")[2]
    stated = [text for text in (received, header.first("Date")) if text]
    if not stated:
        return None
    from restante.mail import dates  # with the email package

    for text in stated:
        when = dates.parse(text.decode("ascii", "replace").strip())
        if when is not None and (seconds := time.time() - when.timestamp()) > -CLOCKS_APART:
            return max(0.0, seconds)
    return None
