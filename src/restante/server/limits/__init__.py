"""Limits that hold for all connections together, and over all workers.

`counters` counts connections and sessions, `throttle` delays guesses by the `failures` of an
address and an account, `fair_queue` lets addresses take turns, `networks` says which addresses are
one client. `shared_table`, `shared_limits` and `process_lock` hold the same over several processes.
"""
