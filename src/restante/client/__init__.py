"""The client: connect, authenticate, and read a maildrop, blocking or with asyncio.

`blocking` and `aio` are the two faces. Both drive the same generators: `greeting`, `session` and
`login` up to an open maildrop, `listing` of its `messages`, and `maildrop` after that
(`header_part` for servers without TOP). `attempts` are made if a server breaks off before that.
`io` adds TLS (`tls`), `deadlines` and the ids of errors (`error_ids`) to them, `socket_driver` and
`asyncio_driver` move the octets, `reply_sync` counts replies for `pop3 check`.

`options` has the account and how to reach it, `mail_address` parses an address with
`public_suffix`, and `likely_address` says what an invalid one meant. `discovery` finds its
server, `name_resolution` the server's addresses, `failed_lookup` says why there is none.
`port_probe` asks a port that says nothing what it speaks, `other_protocols` names that.
`credentials` are what a login is made with, perhaps from a `token_source`. `mechanisms` has the
client's side of SASL, `scram` one of them.

Always: a secret is sent only to a server that proved its identity, or if the user allows clear
text. Only commit() deletes messages. Every deadline includes lookups and computing.

Not API, except for the names that `restante` and `restante.blocking` export: any version may change
the rest.
"""
