"""The page of the documentation that holds the benchmark's numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import machine
import report

if TYPE_CHECKING:
    import datetime as dt

    from figures import Figures


def page(figures: Figures, date: dt.date) -> str:
    """Return the page, in Markdown."""
    return f"""<!-- Written by make bench. -->

# Benchmark

Restante beside other POP3 servers on one machine, measured on {date} with

    make bench

Machine: {machine.machine()}.
Servers: {machine.versions()}.

Each server runs on one core and the load on another; all mail is in the page cache. The servers take
turns, several times over. A number is the median of the runs. A ratio is the median of the ratios of
runs side by side, with the least and the greatest; "by processor time" is how much more of the
processor the other server takes for a session.

{report.targets(figures)}
![Sessions and octets a second, by scenario and server](benchmark.svg)

## What is compared

All keep their log, and what they do against lost mail and two sessions at once.

- **Restante** as `pop3 serve` starts it, with a file of users, their passwords as sha512-crypt.
- **Dovecot tuned** has login and mail processes that serve one client after the other, a login cache, no
  fsync, no statistics, no flags written, sizes taken from file names. Its login cache keeps the stored
  hash and computes it again at each login. Restante does not; so that this does not decide the
  comparison, its passwords are salted SHA-512 here, which costs next to nothing, also at the first
  login. **Dovecot shared** is the same with mail processes that serve many clients at once.
  **Dovecot as installed** is Debian's configuration, with sha512-crypt.
- **Courier** is Debian's, with its limits of connections raised, and sha512-crypt.
- **Twisted** is `benchmarks/twisted_pop3.py`, over its Maildir code, whose messages and unique-ids had to
  be made octets first. It checks passwords without a hash, has no lock and no log, and LIST tells sizes
  that RETR does not send.
- **canned** is a server in C that answers from memory, without login and storage: the upper bound.

The load is in C (`benchmarks/load.c`). It checks every reply: status, line ends, numbers of messages, and
the octets of each message against what LIST said. A wrong reply ends the benchmark. It can be the limit
only where its core was busy nearly all the time, which the last table tells.

With two cores in all, two workers and the load share them: so workers are also compared by the sessions
that a second of their processor time gives, times the workers.

## All numbers

{report.everything(figures)}
## Processor time

{report.costs(figures)}"""
