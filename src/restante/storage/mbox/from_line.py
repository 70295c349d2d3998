"""The line that begins a message in an mbox: "From ann@example.com Tue Nov 24 22:00:46 2026".

A line is one when it begins with "From " and ends in a date as asctime writes it. An empty line
before it is not required, because some programs omit it; without a date the line is text.
RFC 4155 appendix A.
"""

from __future__ import annotations

import calendar
import re
import time
from typing import TYPE_CHECKING

from restante.storage.mbox.exact_io import pread_exactly

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST = 1024  # octets; a longer line is not a From-line
BLOCK = 1024 * 1024  # octets read at once

_DATE = re.compile(
    rb"From (?:[^\n]*? )?(?P<date>(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? +"
    rb"(?P<month>Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) +(?P<day>[0-9]{1,2}) +"
    rb"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?::[0-9]{2})?"
    rb"(?P<zone>(?: +(?:[A-Za-z]{1,5}|[+-][0-9]{4}))*)"
    rb" +(?P<year>[0-9]{4}))(?P<offset>(?: +[+-][0-9]{4})?)"
    rb"(?: remote from [^\n]*)?[ \t]*\r?(?:\n|\Z)"
)
_ZONE = re.compile(rb"(?P<hours>[+-][0-9]{2})(?P<minutes>[0-9]{2})|\b(?:GMT|UTC?)\b")
_RETURN_PATH = re.compile(rb"Return-Path: *<([!-;=?-~]+)>", re.IGNORECASE)
_MONTHS = b"JanFebMarAprMayJunJulAugSepOctNovDec"
_START = b"\nFrom "


def length(octets: bytes) -> int:
    """Return the octets of the From-line at the start of a text, 0 without one."""
    match = _DATE.match(octets[:LONGEST])
    if match is None or (len(octets) >= LONGEST and not match[0].endswith(b"\n")):
        return 0
    return match.end()


def may_contain(octets: bytes) -> bool:
    """Return whether a From-line may begin in these octets, be it in the midst of a line."""
    ends = (line[-LONGEST:] for line in octets.split(b"\n") if b"From " in line)
    return any(_DATE.search(end) for end in ends)


def time_of(line: bytes) -> float | None:
    """Return when a message came, in seconds since 1970, as its From-line says.

    It is local time, as of asctime, unless the line has an offset or UTC. Other names of zones are
    ambiguous, and mostly those of this machine.
    """
    match = _DATE.match(line)
    if match is None or int(match["day"]) > 31:
        return None
    numbers = (int(match["year"]), _MONTHS.index(match["month"]) // 3 + 1, int(match["day"]))
    times = (*numbers, int(match["hour"]), int(match["minute"]), 0, 0, 0, -1)
    zone = _ZONE.search(match["zone"] + match["offset"])
    try:
        return time.mktime(times) if zone is None else float(calendar.timegm(times) - _east(zone))
    except (OverflowError, ValueError):
        return None


def _east(zone: re.Match[bytes]) -> int:
    """Return the seconds by which the clocks of a zone are ahead of UTC."""
    hours, minutes = zone["hours"] or b"+00", int(zone["minutes"] or 0)
    return int(hours) * 3600 + (-60 if hours.startswith(b"-") else 60) * minutes


def positions(file: int, begin: int, size: int) -> Iterator[int]:
    """Yield the positions of From-lines in a file from `begin`, the start of a line, up to `size`.

    The file is read in blocks that overlap, so that no line is cut. What is after `size` does not
    count: another program writes without a lock, or a delivery was cut off. Raises OSError.
    """
    if begin < size and length(pread_exactly(file, LONGEST, begin)):
        yield begin
    place = begin
    while place < size:
        block = pread_exactly(file, min(BLOCK + LONGEST, size - place), place)
        line_end = block.find(_START, 0, BLOCK + len(_START) - 1)
        while line_end >= 0:
            if length(block[line_end + 1 : line_end + 1 + LONGEST]):
                yield place + line_end + 1
            line_end = block.find(_START, line_end + 1, BLOCK + len(_START) - 1)
        place += BLOCK


def format_from_line(message: bytes) -> bytes:
    """Return the From-line for a message that comes now: the sender is that of Return-Path."""
    sender = _RETURN_PATH.match(message[:LONGEST])
    name = sender[1] if sender and len(sender[1]) < LONGEST // 2 else b"MAILER-DAEMON"
    return b"From %s %s\n" % (name, time.asctime().encode())
