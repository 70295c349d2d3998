"""The server: an asyncio driver for the protocol, its configuration and its log.

`app` runs a whole server, in one process or in the `processes` of several workers. `components`
builds its parts from a `config`: the `context` that all connections share, the `listener`, and
`extra_listener` for delivery. `registry` knows the live connections, and stops them. `connection`
is one client, `tls` its encryption, `limits` what holds for all clients together, `event_log` the
log. `background` and `expiry` run by the clock.

Always: a client never sees an exception's text. Whatever a peer, a disk or another program does,
time, memory, threads and log are bounded: docs/reference/bounds.md.
"""
