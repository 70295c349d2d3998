"""The steps of a check, in the order in which they run.

`connect` and `tls` reach the server, and a `rejected_certificate` is inspected. `greeting` reads
its first line and CAPA, `login` authenticates, `mailbox` compares STAT, LIST and UIDL, and
`messages` fetches messages for `--deep`.
"""
