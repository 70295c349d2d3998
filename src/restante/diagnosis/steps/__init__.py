"""The steps of a check, in the order in which they run.

`connect` and `tls` reach the server, `greeting` reads it and CAPA, `login` authenticates, `mailbox`
compares STAT, LIST and UIDL, and `messages` fetches messages for `--deep`.
"""
