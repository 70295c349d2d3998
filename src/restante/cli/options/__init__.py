"""Options and arguments that several commands share.

For commands on mail: `account` parses ACCOUNT, with `account_file` (names of the user's own) and
`connection` (TLS, time limits, ...). `password` and `stored_tokens` find the credentials, and
`maildrop` opens the account. `prompts` asks a person, `confirmation` about servers of other
domains. `fetch_settings` has the options of `pop3 fetch`.

For administrators: `server` has the options of `serve` and `deliver`, `control` finds a running
server. `account_names` finds the account that is meant: in a file (`accounts`), in the table of a
cluster (`table_accounts`), or in PAM, LDAP or a database (`source_accounts`). `locks` and
`app_passwords` are the lists of these, and `node_lists` those that a cluster imports.

Values: `values` that are not empty and spans of time, `moment`, and `size`.
"""
