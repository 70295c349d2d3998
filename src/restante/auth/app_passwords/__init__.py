"""App passwords: further passwords of an account, each for one program, each revocable.

`digests` says what is kept of them, and `file` reads and edits the file of app passwords. `uses` is
the file beside it that says when each was last used, and `accounts` adds these logins to accounts
of any source. A cluster has them in a table: `sql.cluster_logins` and `sql.cluster_lists`.
"""
