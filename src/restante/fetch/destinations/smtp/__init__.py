"""An SMTP or LMTP server as a destination.

`address` parses it, `login` and `session` open a connection, `transaction` sends a message with its
`envelope`, and `accepted_recipients` remembers who has it already. `destination` delivers.
"""
