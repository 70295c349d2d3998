"""LMTP (RFC 2033) and SMTP (RFC 5321), the server's side: no I/O, no clock, no logging.

`serve` holds the conversation, `commands` is the table of verbs, `handlers` has a function for
each, `session` is what a session knows, and `needs` is what it asks of its driver. `message` turns
the octets after DATA into the message to store.

Always: only CR LF . CR LF ends a message. A reply to a message is sent only after the driver has
said what became of it.
"""
