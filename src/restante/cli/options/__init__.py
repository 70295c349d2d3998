"""Options and arguments that several commands share.

`account` parses ACCOUNT, with `account_file` (names of the user's own) and `connection` (TLS, time
limits, ...). `password` finds the password, `maildrop` opens the account, `confirmation` asks about
servers of other domains, and `server` has the options of `serve` and `deliver`.
"""
