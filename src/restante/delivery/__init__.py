"""Mail in: LMTP and SMTP listeners, and what `pop3 deliver` shares with them.

`protocol` is LMTP and SMTP without I/O. `listener` opens the sockets, `connection` drives one
client by the table in `phases`, and `sessions` has what all clients share. `recipients` resolves an
address to a user, `trace_headers` adds Return-Path and Delivered-To, `message_ids` are for the log,
`deliverer` stores the message within the `quota`, `oldest` makes room in a full maildrop, and
`replies` has every reply and exit code.

Always: a message is acknowledged only after it is durable. A temporary problem never gets a
permanent reply. docs/explanation/delivery.md has the design and its reasons.

Not API: any version may change it.
"""
