"""A list of messages in columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.cli.output.units import count_columns, cut, date, pad, short_size

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from restante.cli.output.message_summary import MessageSummary

SENDER, DATE = 24, 12  # columns at most
SHORT_SENDER, SHORT_SUBJECT, SHORTEST = 10, 16, 4  # columns at least, in a narrow terminal
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

    Sizes are octets by number; `width` is that of the terminal, in columns. A narrow one gets no
    dates.
    """
    first = max(3, len(str(max(sizes, default=0))) + 1)
    listed = [summaries[number] for number in sizes if number in summaries]
    senders = (cut(summary.sender or NOBODY, SENDER) for summary in listed)
    sender = max(4, max(map(count_columns, senders), default=0))
    note = max((len(summary.files) for summary in listed), default=0) + 2
    day, sender, room = _divide(width - first - 13, sender, note)
    title = f"{pad('date', day)}  " if day else ""
    yield f"{'#':>{first}} {'size':>6}  {title}{pad('from', sender)}  subject"
    for number, size in sizes.items():
        start = f"{number:>{first}} {short_size(size):>6}  "
        mark = "(marked) " if number in marked else ""
        summary = summaries.get(number)
        if summary is None or not summary.known:
            yield (start + mark).rstrip()
            continue
        left = room - len(mark)
        files = f"  {summary.files}" if summary.files else ""
        files = files if left - len(files) >= SHORTEST else ""
        subject = cut(summary.title, max(SHORTEST, left - len(files))) or "(no subject)"
        sent = date(summary.date) if summary.date else summary.date_text
        middle = f"{pad(sent, day)}  " if day else ""
        middle += pad(summary.sender or NOBODY, sender)
        yield f"{start}{middle}  {mark}{subject}{files}".rstrip()


def _divide(width: int, sender: int, note: int) -> tuple[int, int, int]:
    """Return the columns of the date, the sender, and the subject with its note.

    If there are too few columns, those of the sender become fewer first, then the date has none.
    """
    room = width - DATE - 2 - sender
    fewer = min(max(0, SHORT_SUBJECT + note - room), max(0, sender - SHORT_SENDER))
    sender, room = sender - fewer, room + fewer
    return (DATE, sender, room) if room >= SHORT_SUBJECT else (0, sender, room + DATE + 2)
