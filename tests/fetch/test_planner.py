"""Plans: what is fetched, deleted, left, and judged."""

from __future__ import annotations

import math
from collections.abc import Iterable

import pytest

from restante.fetch.journal_rows import KnownMessage, MessageState, Outline
from restante.fetch.planner import MessageEntry, Plan, Policy, are_unusable, make_plan

NOW = 1_000_000.0


def row(
    uid: str,
    state: MessageState,
    *,
    size: int | None = 10,
    seen: float = 0.0,
    octets: int | None = None,
    header: str | None = "h",
) -> KnownMessage:
    return KnownMessage(uid, state, seen, size, octets, "s", header, NOW + 5, "")


class Rows:
    """A journal in memory."""

    def __init__(self, rows: list[KnownMessage]) -> None:
        self._rows = {row.uid: row for row in rows}

    def outlines(self) -> list[Outline]:
        return [
            (row.uid, row.state.value, row.size, math.inf if row.stays else row.first_seen)
            for row in self._rows.values()
        ]

    def find(self, uids: Iterable[str]) -> list[KnownMessage]:
        return [self._rows[uid] for uid in uids]


def plan(known: list[KnownMessage], *uids: str, policy: Policy | None = None) -> Plan:
    listed = [MessageEntry(number, uid, 10) for number, uid in enumerate(uids, 1)]
    return make_plan(listed, Rows(known), policy or Policy(), NOW)


def test_new() -> None:
    """A message that is not known is fetched; a known one is not."""
    made = plan([row("a", MessageState.HERE)], "a", "b")
    assert ([m.uid for m in made.fetch], made.delete) == (["b"], [])


@pytest.mark.parametrize("state", [MessageState.KNOWN, MessageState.HERE, MessageState.ASKED])
def test_a_message_that_stays(state: MessageState) -> None:
    """A message that its user counted as fetched is never deleted, and requires no second look."""
    stays = row("a", state)._replace(stays=True)
    for keep in (0.0, 1.0, None):
        made = plan([stays], "a", policy=Policy(keep_seconds=keep))
        assert (made.fetch, made.delete, made.to_verify) == ([], [], {})


def test_prepared() -> None:
    """A message that was only prepared is fetched again."""
    assert [m.uid for m in plan([row("a", MessageState.PREPARED)], "a").fetch] == ["a"]


@pytest.mark.parametrize("state", [MessageState.HERE, MessageState.KNOWN, MessageState.ASKED])
@pytest.mark.parametrize(("keep", "deleted"), [(None, 0), (0.0, 1), (NOW, 1), (NOW + 1, 0)])
def test_keep(state: MessageState, keep: float | None, deleted: int) -> None:
    """Mail is deleted when it was seen long enough ago, also where an earlier QUIT failed."""
    made = plan([row("a", state)], "a", policy=Policy(keep_seconds=keep))
    assert len(made.delete) == deleted


def test_parked() -> None:
    """A parked message waits for its time, and is not deleted."""
    made = plan([row("a", MessageState.PARKED)], "a", policy=Policy(keep_seconds=0))
    assert ([m.uid for m in made.waiting], made.fetch, made.delete) == (["a"], [], [])


def test_size_changed() -> None:
    """A known unique-id with another size is judged by its header before anything is deleted."""
    made = plan([row("a", MessageState.HERE, size=99)], "a", policy=Policy(keep_seconds=0))
    assert ([m.uid for m in made.doubtful], made.delete) == (["a"], [])


def test_listed_again() -> None:
    """A message that had left is judged by its header when its unique-id is listed again."""
    made = plan([row("a", MessageState.GONE)], "a", policy=Policy(keep_seconds=0))
    assert ([m.uid for m in made.doubtful], made.delete) == (["a"], [])


@pytest.mark.parametrize(
    ("state", "size"), [(MessageState.GONE, 10), (MessageState.GONE, None), (MessageState.KNOWN, 9)]
)
def test_no_header_to_judge_by(state: MessageState, size: int | None) -> None:
    """Where another message may have the unique-id, and no header is known, nothing is deleted."""
    known = [row("a", state, size=size, header=None)]
    made = plan(known, "a", policy=Policy(keep_seconds=0))
    assert (made.doubtful, made.delete, made.fetch) == ({}, [], [])


def test_too_large() -> None:
    """A message over the limit stays at the server."""
    made = plan([], "a", policy=Policy(max_size=9, keep_seconds=0))
    assert ([m.uid for m in made.too_large], made.fetch, made.delete) == (["a"], [], [])


def test_order_and_limit() -> None:
    """The newest messages come first where that is asked for, up to a limit."""
    made = plan([], "a", "b", "c", policy=Policy(newest_first=True, limit=2))
    assert [m.uid for m in made.fetch] == ["c", "b"]


def test_gone() -> None:
    """A message that the server does not list any more is gone."""
    assert plan([row("a", MessageState.HERE), row("b", MessageState.PREPARED)], "b").gone == ["a"]


def test_uids_changed() -> None:
    """The plan says where no unique-id is known and no known one is there."""
    known = [row(uid, MessageState.HERE) for uid in "abc"]
    assert plan(known, "x", "y", "z").moved.startswith("none of the 3 messages is known")
    assert plan(known, "x", "y").moved == ""
    for state in (MessageState.GONE, MessageState.ASKED):
        assert plan([row(uid, state) for uid in "abc"], "x", "y", "z").moved == ""


@pytest.mark.parametrize(
    ("uids", "unusable"),
    [([], False), (["a", "b"], False), (["a", "a"], True), (["1", "2"], True), ([""], True)],
)
def test_unusable(uids: list[str], unusable: bool) -> None:
    """Unique-ids that are missing, doubled, or the message numbers identify nothing."""
    messages = [MessageEntry(number, uid, 10) for number, uid in enumerate(uids, 1)]
    assert are_unusable(messages) == unusable


@pytest.mark.parametrize(
    "state", [MessageState.PARKED, MessageState.PREPARED, MessageState.TOO_LARGE]
)
def test_undelivered_message_that_was_away(state: MessageState) -> None:
    """A message that left its server before it was delivered is fetched, and not deleted."""
    policy = Policy(keep_seconds=0)
    away = plan([row("a", state)], policy=policy)
    assert (away.left, away.gone) == (["a"], [])
    back = plan([row("a", MessageState.LEFT)], "a", policy=policy)
    assert ([m.uid for m in back.fetch], back.delete) == (["a"], [])


def test_headers_of_large_messages() -> None:
    """The header of a message that is too large is due until it is delivered, and never deleted."""
    policy = Policy(max_size=9, keep_seconds=0, large_headers=True)
    [header] = plan([], "a", policy=policy).headers
    assert header.number == 1
    again = plan([row(header.uid, MessageState.HERE)], "a", policy=policy)
    assert (again.headers, again.gone, again.delete) == ([], [], [])
    assert plan([row(header.uid, MessageState.HERE)], policy=policy).gone == [header.uid]


@pytest.mark.parametrize(
    ("octets", "deleted"), [(None, True), (10, True), (12, True), (9, True), (8, False), (0, False)]
)
def test_message_that_came_short(octets: int | None, *, deleted: bool) -> None:
    """A message that is more than a tenth shorter than LIST said stays: it may be a part."""
    made = plan([row("a", MessageState.HERE, octets=octets)], "a", policy=Policy(keep_seconds=0))
    assert (bool(made.delete), bool(made.short)) == (deleted, not deleted)
