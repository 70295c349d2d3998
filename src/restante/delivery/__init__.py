"""Mail in: LMTP and SMTP listeners, and what `pop3 deliver` shares with them.

`listener` opens the sockets, `lmtp` and `handler` speak the protocols on top of aiosmtpd,
`sessions` keeps the live connections, `data` reads a message. `recipients` resolves an address to
a user, `trace_headers` adds Return-Path and Delivered-To, `deliverer` stores the message, and
`replies` has every reply and exit code.

Always: a message is acknowledged only after it is durable. A momentary problem never gets a
permanent reply.

Not API: any version may change it.
"""
