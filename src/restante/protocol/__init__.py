"""POP3 as pure Python: no I/O, no clock, no logging.

This package holds all of POP3. Read `server` first: `session` (what a session knows), `needs` (what
it asks of its driver), `commands` (the table), `handlers` (one function a command), `serve` (from
greeting to goodbye). `client` has one operation a command.

Both sides share `errors` (one tree), `lines`, `status` (status lines), `stuffing` and `unstuffing`
(the octets of a message), `message_header`, `unique_id`, `saslprep`, `secret` and `text`.

Always: a conversation is a generator, and a driver does all that it asks for. Closing a generator
removes no mail. `server` and `client` do not import each other.
"""
