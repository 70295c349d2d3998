"""An SMTP or LMTP server as a destination.

`address` parses it, `login` and `session` open a connection, and `transaction` sends a message with
its `envelope`. `accepted_recipients` notes the recipients that have it already. `destination`
delivers.
"""
