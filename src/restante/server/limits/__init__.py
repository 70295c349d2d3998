"""Limits that hold for all connections together, and over all workers.

`server_limits` is all of them in one object, `limit_log` logs which of them were reached.
`counters` counts connections and sessions, `throttle` delays guesses by the `failures` of an
address and an account, also at other nodes of a cluster (`peer_failures`). `client_bounds` limits
each client. `shared_table`, `shared_limits` and `process_lock` hold the same over several
processes.
"""
