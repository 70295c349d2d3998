"""A list of removed messages in columns."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from restante.cli.output.message_summary import summarize
from restante.cli.output.message_table import ENDLESS, NOBODY, SENDER
from restante.cli.output.terminal import plain
from restante.cli.output.units import count_columns, cut, pad
from restante.storage.removals import calendar_time

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from restante.storage.removals import DeletedMessage


def deleted_table(messages: Sequence[DeletedMessage], *, with_headers: bool) -> Iterator[str]:
    """Yield a line for each message. With headers, it ends with the sender and the subject."""
    uids = [plain(message.uid) for message in messages]
    width = max(count_columns(uid) for uid in [*uids, "unique-id"]) if with_headers else 0
    title = f"{'removed':16}  {'arrived':16}  {'octets':>9}  {'unique-id':{width}}"
    yield f"{title}  {pad('from', SENDER)}  subject" if with_headers else title
    for message, uid in zip(messages, uids, strict=True):
        times = f"{_time(message.removed):16}  {_time(message.arrived):16}"
        line = f"{times}  {message.octets:>9}  {uid:{width}}"
        if with_headers:
            summary = summarize(message.header)
            subject = cut(summary.subject, ENDLESS) or "(no subject)"
            line += f"  {pad(summary.sender or NOBODY, SENDER)}  {subject}"
        yield line


def _time(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(calendar_time(seconds)))
