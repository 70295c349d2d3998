"""The client: connect, authenticate, and read a maildrop, blocking or with asyncio.

`blocking` and `aio` are the two faces. Both drive the same generators: `session` and `login` up to
an open maildrop, `maildrop` after that. `io` adds TLS, deadlines and errors to them,
`socket_driver` and `asyncio_driver` move the octets. `options` says which account and how to reach
it, `discovery` finds its server, `mechanisms` has the client's side of SASL.

Always: no secret goes to a server that is not proven, or that the user did not name. Nothing is
deleted without commit(). Every deadline includes lookups and computing.
"""
