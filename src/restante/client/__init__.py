"""The client: connect, authenticate, and read a maildrop, blocking or with asyncio.

`blocking` and `aio` are the two faces. Both drive the same generators: `session` and `login` up to
an open maildrop, `maildrop` and its `messages` after that. `io` adds TLS, deadlines and errors to
them, `socket_driver` and `asyncio_driver` move the octets, `reply_sync` counts replies for
`pop3 check`. `options` has the account and how to reach it, `mail_address` parses an address,
`discovery` finds its server, `mechanisms` has the client's side of SASL, `scram` one of them.

Always: a secret is sent only to a server that proved its identity, or if the user allows clear
text. Only commit() deletes messages. Every deadline includes lookups and computing.

Not API, except for the names that `restante` and `restante.blocking` export: any version may change
the rest.
"""
