"""The server's side of POP3.

`commands` is the table: a row for each command with its states, its arguments and its handler.
`serve` runs the conversation, `handlers` has one function a command, `arguments` parses,
`capabilities` answers CAPA, `sasl` and `sasl_exchange` run AUTH. `session` and `maildrop` are what
a session knows, `settings` what it was given, `needs` what it asks of its driver.

Always: only a QUIT that the driver has carried out removes mail. RFC 1939 section 6.
"""
