"""A list of messages in columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.cli.output.units import count_columns, cut, date, pad, short_size

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from restante.cli.output.message_summary import MessageSummary

SENDER, DATE = 24, 12  # columns at most
NOBODY = "(no sender)"
ENDLESS = 1_000_000  # columns of a pipe


def message_table(
    sizes: Mapping[int, int],
    summaries: Mapping[int, MessageSummary],
    *,
    marked: Collection[int] = (),
    width: int = ENDLESS,
) -> Iterator[str]:
    """Yield a line for each message. Without a summary, only the size is shown.

    Sizes are octets by number; `width` is that of the terminal, in columns.
    """
    first = max(3, len(str(max(sizes, default=0))) + 1)
    senders = (cut(summary.sender or NOBODY, SENDER) for summary in summaries.values())
    second = max(4, max(map(count_columns, senders), default=0))
    yield f"{'#':>{first}} {'size':>6}  {'date':{DATE}}  {pad('from', second)}  subject"
    room = width - first - second - DATE - 15
    for number, size in sizes.items():
        start = f"{number:>{first}} {short_size(size):>6}  "
        mark = "(marked) " if number in marked else ""
        summary = summaries.get(number)
        if summary is None or not summary.known:
            yield (start + mark).rstrip()
            continue
        files = f"  {summary.files}" if summary.files else ""
        subject = cut(summary.title, max(20, room - len(files) - len(mark))) or "(no subject)"
        day = date(summary.date) if summary.date else summary.date_text
        middle = f"{pad(day, DATE)}  {pad(summary.sender or NOBODY, second)}"
        yield f"{start}{middle}  {mark}{subject}{files}".rstrip()
