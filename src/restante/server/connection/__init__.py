"""One client's connection: from octets on a socket to a session, and back.

`connection` is the asyncio protocol, `transport` its PROXY header and TLS, `write_buffer` its
replies. `backend` and `authentication` fulfil what the session asks for. `session_log` writes its
events, `endings`, `deadline`, `streaming` and `keepalive` bound its time.

Always: no more is read while a reply is unsent. A reply that broke off half way ends the
connection.
"""
