"""The page of the documentation that holds the benchmark's numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import machine
import report

if TYPE_CHECKING:
    import datetime as dt

    from figures import Figures


def page(figures: Figures, date: dt.date, load: float) -> str:
    """Return the page, in Markdown. `load` is the machine's load average before the start."""
    return f"""<!-- Written by make bench. -->

# Benchmark

Restante beside other POP3 servers on one machine, measured on {date} with

    make bench

Machine: {machine.machine()}.
Servers: {machine.versions()}.
Load average before the start: {load:.1f}. If it is not near 0, other programs used the same cores.
Then all rates are too low, and a ratio shows only roughly what a quiet machine would.

What is compared, how and why: [how the benchmark is made](../explanation/benchmark.md).

{report.targets(figures)}
![Sessions and octets a second, by scenario and server](benchmark.svg)

## All numbers

{report.everything(figures)}
## Processor time

{report.costs(figures)}"""
