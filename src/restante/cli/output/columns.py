"""A list of messages in columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.cli.output.units import columns, cut, date, pad, short_size

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from restante.cli.output.message_summary import Head

SENDER, DATE = 24, 12  # columns at most
NOBODY = "(no sender)"
ENDLESS = 1_000_000  # columns of a pipe


def table(
    sizes: Mapping[int, int],
    heads: Mapping[int, Head],
    *,
    marked: Collection[int] = (),
    width: int = ENDLESS,
) -> Iterator[str]:
    """Yield a line for each message. Without a summary, only the size is shown.

    Sizes are octets by number; `width` is that of the terminal, in columns.
    """
    first = max(3, len(str(max(sizes, default=0))) + 1)
    second = max([4, *(columns(cut(head.sender or NOBODY, SENDER)) for head in heads.values())])
    yield f"{'#':>{first}} {'size':>6}  {'date':{DATE}}  {pad('from', second)}  subject"
    room = width - first - second - DATE - 15
    for number, size in sizes.items():
        start = f"{number:>{first}} {short_size(size):>6}  "
        mark = "(marked) " if number in marked else ""
        head = heads.get(number)
        if head is None or not head.known:
            yield (start + mark).rstrip()
            continue
        files = f"  {head.files}" if head.files else ""
        subject = cut(head.title, max(20, room - len(files) - len(mark))) or "(no subject)"
        day = date(head.date) if head.date else head.date_text
        middle = f"{pad(day, DATE)}  {pad(head.sender or NOBODY, second)}"
        yield f"{start}{middle}  {mark}{subject}{files}".rstrip()
