"""One client's connection: from octets on a socket to a session, and back.

`connection` is the asyncio protocol; `phases` has the table of what each event does in each phase.
`transport` is its PROXY header and TLS, `write_buffer` its replies. `backend` and `authentication`
fulfil the needs of the session; `pending_work` is a need that takes a task. `session_log` writes
the events of clients, as a `login_client` describes them. `proxy_protocol` parses the header of a
proxy, `administered` lets an administrator end a session. `endings` and `keepalive` bound their
time.

Always: no more is read while a reply is unsent. A reply that broke off half way ends the
connection. The session is changed by the protocol only; the driver reads it.
"""
