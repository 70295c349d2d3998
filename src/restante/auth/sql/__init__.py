"""Accounts in a database, by the administrator's own queries.

`accounts` is the authenticator of all databases, `queries` what their queries have in common, and
`connections` the few connections that stay open. `postgresql_query` and `mysql_query` alone know a
driver, and `mysql_address` parses an address.
`hash_upgrade` replaces weak hashes. `cluster_accounts` is the table that a cluster has of its own,
`cluster_app_passwords` that of its app passwords, and `cluster_logins` the authenticator for both.
`cluster_locks` is the table of locked accounts of another source, over which `cluster_lists` has
locks and app passwords.

Always: a value reaches a database as a parameter, never as a part of a query, and a database in
trouble never makes a name unknown.
"""
