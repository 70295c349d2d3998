"""The tasks that a server repeats, beside its connections.

`background` runs all of it; of several workers, one does. `expiry` removes old mail,
`deleted_sweep` what was kept after its removal, both by `steady_clock`, and `upkeep` cares for a
store that needs it. Of several nodes with one store, `rounds` lets one do so. Every process runs
the other two: `account_watch` ends the sessions of locked accounts, and `peers` lets the nodes of a
cluster know of each other.
"""
