"""Figures for Prometheus, and whether the server is alive and ready.

`catalogue` is the table of all metrics, and the source of docs/reference/metrics.md. `memory` has
their numbers, in memory that all processes share. A `recorder` counts what happens: it sees each
event of the log. `exposition` makes text of the numbers, `readiness` asks the accounts and the mail
store. `listener` opens the address, and `http_connection` answers one request.

Always: labels have values that the catalogue lists, so neither users nor clients can add any. A
number of a worker that has ended stays in the sums. Nothing of this package is imported unless the
configuration has an address in its table [metrics].

Not API: any version may change it.
"""
