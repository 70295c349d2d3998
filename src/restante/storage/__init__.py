"""Where mail lies.

`interfaces` says what a store is; `maildir`, `mbox` and `memory` are the stores, and do not know
each other. `paths` names a user's place, `fs` opens files that others may change meanwhile,
`disk_threads` bounds the threads that wait for a disk, `disk_latency` measures it,
`snapshot_cache` keeps what was found. `utf8_downgrade` serves clients that did not ask for UTF-8.

Always: mail that no QUIT has confirmed is never lost, and mail that one has confirmed is gone:
docs/explanation/durability.md.
"""
